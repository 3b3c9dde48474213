<?php

declare(strict_types=1);

namespace RrPgpool\Transport;

use RrPgpool\Transport;
use Throwable;
use UnderflowException;

/**
 * For tests of code that uses this package: answers from a queue, and remembers what it was asked.
 * Transactions and sessions need nothing of the queue, unless autoReply() is switched off; statements
 * take one reply each, also those of a batch, and a stream takes one for all of its rows.
 */
final class FakeTransport implements Transport
{
    private const ENDINGS = ['TransactionCommit', 'TransactionRollback', 'SessionEnd', 'CursorClose'];

    /** @var list<array<string, mixed>|Throwable|FakeLoss> */
    private array $queue = [];
    /** @var list<FakeRequest> */
    private array $requests = [];
    /** @var array<string, list<list<mixed>>> rows that are left of the results being streamed, by cursor */
    private array $cursors = [];
    private int $generation = 1;
    private bool $autoReply = true;

    /**
     * The next statement returns these rows.
     *
     * @param list<string|array{string, string}> $columns names, or names with types (`text` otherwise);
     *     bytea values have to be given as `\x…`
     * @param list<list<mixed>> $rows
     * @return $this
     */
    public function willReturnRows(array $columns, array $rows, ?int $rowsAffected = null): self
    {
        return $this->willReply([
            'rows' => $rows,
            'columns' => array_map(FakeColumns::describe(...), $columns),
            'rows_affected' => $rowsAffected ?? count($rows),
            'execution_time_us' => 0,
        ]);
    }

    /**
     * The next statement returns nothing and affects this many rows.
     *
     * @return $this
     */
    public function willAffect(int $rows): self
    {
        return $this->willReply(['rows_affected' => $rows, 'execution_time_us' => 0]);
    }

    /**
     * The next statement fails with an error of the server.
     *
     * @param array<string, mixed> $detail detail, hint, constraint, table, column, position
     * @return $this
     */
    public function willFail(string $sqlstate, string $message, array $detail = []): self
    {
        return $this->willReply([
            'error' => $message,
            'sqlstate' => $sqlstate,
            'error_detail' => $detail + ['message' => $message],
        ]);
    }

    /**
     * The next statement has this raw reply.
     *
     * @param array<string, mixed> $reply
     * @return $this
     */
    public function willReply(array $reply): self
    {
        $this->queue[] = $reply;

        return $this;
    }

    /**
     * The next statement fails in the transport: with ConnectionLost or OutcomeUnknown, say.
     *
     * @param bool $reconnects whether the connection is lost, and what is open with it
     * @return $this
     */
    public function willThrow(Throwable $error, bool $reconnects = true): self
    {
        $this->queue[] = $reconnects ? new FakeLoss($error) : $error;

        return $this;
    }

    /**
     * Whether BEGIN, COMMIT, savepoints and the like are answered without the queue. They are unless
     * this says otherwise.
     *
     * @return $this
     */
    public function autoReply(bool $on): self
    {
        $this->autoReply = $on;

        return $this;
    }

    /** The connection is lost now, as after a restart of the server. */
    public function loseConnection(): void
    {
        ++$this->generation;
    }

    /** @return list<FakeRequest> everything that was asked, in order */
    public function requests(): array
    {
        return $this->requests;
    }

    /** @return list<string> the statements executed, in order; without those that control transactions */
    public function statements(): array
    {
        $statements = [];
        foreach ($this->requests as $request) {
            if (!$request->isControl()) {
                array_push($statements, ...$request->statements());
            }
        }

        return $statements;
    }

    /** Replies that nobody has asked for yet. */
    public function remaining(): int
    {
        return count($this->queue);
    }

    public function call(string $method, array $request, float $timeout): array
    {
        $this->requests[] = $asked = new FakeRequest($method, $request, $timeout);

        return ($this->autoReply ? $this->automatic($asked) : null) ?? match ($method) {
            'ExecuteBatch' => $this->batch($asked),
            'CursorOpen' => $this->openCursor($asked),
            'CursorFetch' => $this->fetch((string) $request['cursor_id'], (int) ($request['count'] ?? 1000)),
            default => $this->next("{$method} {$asked->sql()}"),
        };
    }

    public function generation(): int
    {
        return $this->generation;
    }

    public function close(): void
    {
        ++$this->generation;
    }

    /** @return array<string, mixed>|null */
    private function automatic(FakeRequest $request): ?array
    {
        $number = count($this->requests);

        return match (true) {
            $request->method === 'TransactionBegin' => ['tx_id' => "fake-{$number}"],
            $request->method === 'SessionBegin' => ['session_id' => "fake-{$number}"],
            in_array($request->method, self::ENDINGS, true) => ['success' => true],
            $request->isControl() => ['rows_affected' => 0],
            default => null,
        };
    }

    /** @return array<string, mixed> */
    private function next(string $what): array
    {
        $reply = array_shift($this->queue)
            ?? throw new UnderflowException('FakeTransport has no reply for ' . trim($what));
        if ($reply instanceof FakeLoss) {
            $this->loseConnection();
            throw $reply->error;
        }
        if ($reply instanceof Throwable) {
            throw $reply;
        }

        return $reply;
    }

    /**
     * One queued reply for each statement, with atomic up to the first error; or a raw reply of
     * ExecuteBatch for all of them.
     *
     * @return array<string, mixed>
     */
    private function batch(FakeRequest $request): array
    {
        if (is_array($this->queue[0] ?? null) && isset($this->queue[0]['results'])) {
            return $this->next('a batch');
        }
        $results = [];
        foreach ($request->statements() as $index => $sql) {
            $results[] = $reply = $this->next("statement {$index} of a batch, {$sql}");
            if (isset($reply['error']) && ($request->fields['atomic'] ?? false)) {
                return ['failed' => $index, 'results' => $results] + $reply;
            }
        }

        return ['results' => $results];
    }

    /** @return array<string, mixed> a raw reply of CursorOpen, or one whose rows are fetched from here */
    private function openCursor(FakeRequest $request): array
    {
        $reply = $this->next("a stream, {$request->sql()}");
        if (isset($reply['error']) || isset($reply['cursor_id'])) {
            return $reply;
        }
        $id = 'fake-' . count($this->requests);
        $this->cursors[$id] = $reply['rows'] ?? [];

        return ['cursor_id' => $id, 'columns' => $reply['columns'] ?? []];
    }

    /** @return array<string, mixed> */
    private function fetch(string $cursor, int $count): array
    {
        if (!isset($this->cursors[$cursor])) {
            return $this->next("CursorFetch of {$cursor}");
        }
        $rows = array_splice($this->cursors[$cursor], 0, $count);

        return ['rows' => $rows, 'done' => count($rows) < $count];
    }
}
