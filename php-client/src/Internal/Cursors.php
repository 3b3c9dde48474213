<?php

declare(strict_types=1);

namespace RrPgpool\Internal;

use RrPgpool\Exception\ConnectionLost;
use RrPgpool\Exception\PgpoolException;
use RrPgpool\ExecuteOptions;

/**
 * The cursors that are open. One that was opened through a connection that is gone is never asked for
 * again: after a fork it would be the parent's.
 *
 * @internal
 */
final class Cursors
{
    /** @var array<array-key, int> transport generation by cursor id */
    private array $open = [];

    public function __construct(private readonly Channel $channel)
    {
    }

    /**
     * @param array<string, mixed> $request
     * @param list<mixed> $args for the observer
     * @return array<string, mixed> the reply of CursorOpen
     * @throws PgpoolException
     */
    public function open(array $request, ?ExecuteOptions $options, string $sql, array $args): array
    {
        $reply = $this->channel->statement('CursorOpen', $request, $options, $sql, $args);
        $this->open[Reply::id($reply, 'cursor_id')] = $this->channel->generation();

        return $reply;
    }

    /**
     * @return array<string, mixed> the reply of CursorFetch
     * @throws PgpoolException and then the cursor is closed
     */
    public function fetch(string $id, int $count, ?ExecuteOptions $options): array
    {
        if (!$this->forget($id)) {
            throw new ConnectionLost('the cursor is gone: it was closed, or its connection was', '08006');
        }
        $generation = $this->channel->generation();
        $request = ['cursor_id' => $id, 'count' => $count];
        if ($options?->timeoutMs !== null) {
            $request['timeout'] = $options->timeoutMs;
        }
        try {
            $reply = $this->channel->call('CursorFetch', $request, $options);
        } catch (PgpoolException $error) {
            if ($generation === $this->channel->generation()) {
                // The server may have found nothing wrong: the reply was, or the request.
                $this->closeForgotten($id);
            }
            throw $error;
        }
        if (($reply['done'] ?? false) !== true) {
            $this->open[$id] = $generation;
        }

        return $reply;
    }

    public function close(string $id): void
    {
        if ($this->forget($id)) {
            $this->closeForgotten($id);
        }
    }

    /** Closes all of them, and says whether there were any. */
    public function closeAll(): bool
    {
        $any = false;
        foreach (array_keys($this->open) as $id) {
            if ($this->forget((string) $id)) {
                $this->closeForgotten((string) $id);
                $any = true;
            }
        }

        return $any;
    }

    private function closeForgotten(string $id): void
    {
        try {
            $this->channel->call('CursorClose', ['cursor_id' => $id]);
        } catch (PgpoolException) {
            // It ended with its transaction or its connection, or will when it has expired.
        }
    }

    /** Takes it off the list, and says whether it may still be there. */
    private function forget(string $id): bool
    {
        $generation = $this->open[$id] ?? null;
        unset($this->open[$id]);

        return $generation === $this->channel->generation();
    }
}
