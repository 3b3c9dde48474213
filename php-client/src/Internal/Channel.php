<?php

declare(strict_types=1);

namespace RrPgpool\Internal;

use RrPgpool\ArgumentObserver;
use RrPgpool\Exception\PgpoolException;
use RrPgpool\ExecuteOptions;
use RrPgpool\QueryEvent;
use RrPgpool\QueryObserver;
use RrPgpool\Transport;
use Throwable;

/**
 * Sends requests, turns error replies into exceptions, and tells the observer about statements.
 *
 * @internal
 */
final class Channel
{
    /** @param float $replyTimeout seconds, for whatever has no timeout of its own */
    public function __construct(
        private readonly Transport $transport,
        private readonly string $database,
        private readonly ?QueryObserver $observer,
        private readonly float $replyTimeout,
    ) {
    }

    /** The transport's, see there. */
    public function generation(): int
    {
        return $this->transport->generation();
    }

    /**
     * Sends a request that is no statement.
     *
     * @param array<string, mixed> $request
     * @return array<string, mixed>
     * @throws PgpoolException
     */
    public function call(string $method, array $request, ?ExecuteOptions $options = null): array
    {
        $reply = $this->transport->call($method, $request, $this->timeout($options));
        if (isset($reply['error'])) {
            throw ErrorTable::exception($reply);
        }

        return $reply;
    }

    /**
     * Sends a statement, or several.
     *
     * @param array<string, mixed> $request
     * @param string $sql for exceptions and the observer
     * @param array<mixed> $args for the observer
     * @return array<string, mixed>
     * @throws PgpoolException
     */
    public function statement(
        string $method,
        array $request,
        ?ExecuteOptions $options,
        string $sql,
        array $args,
    ): array {
        $timeout = $this->timeout($options);
        if ($this->observer === null) {
            return $this->send($method, $request, $timeout, $sql);
        }
        $started = hrtime(true);
        try {
            $reply = $this->send($method, $request, $timeout, $sql);
        } catch (Throwable $error) {
            $this->tell($started, $sql, $args, [], $error);
            throw $error;
        }
        $this->tell($started, $sql, $args, $reply, null);

        return $reply;
    }

    /**
     * @param array<string, mixed> $request
     * @return array<string, mixed>
     */
    private function send(string $method, array $request, float $timeout, string $sql): array
    {
        try {
            $reply = $this->transport->call($method, $request, $timeout);
        } catch (PgpoolException $error) {
            if ($error->query() === null) {
                $error->attachQuery($sql);
            }
            throw $error;
        }
        if (isset($reply['error'])) {
            throw ErrorTable::exception($reply, $sql);
        }

        return $reply;
    }

    /** Seconds to wait for the reply. */
    private function timeout(?ExecuteOptions $options): float
    {
        return $options === null ? $this->replyTimeout : $options->replyTimeout($this->replyTimeout);
    }

    /**
     * @param int $started nanoseconds
     * @param array<mixed> $args
     * @param array<string, mixed> $reply
     */
    private function tell(int $started, string $sql, array $args, array $reply, ?Throwable $error): void
    {
        $this->observer?->executed(new QueryEvent(
            $sql,
            $this->database,
            (hrtime(true) - $started) / 1e6,
            isset($reply['rows']) ? count($reply['rows']) : (int) ($reply['rows_affected'] ?? 0),
            $error,
            $this->observer instanceof ArgumentObserver ? $args : null,
        ));
    }
}
