<?php

declare(strict_types=1);

namespace RrPgpool\Transport;

use RrPgpool\Transport;
use Throwable;
use UnderflowException;

/**
 * For tests of code that uses this package: answers from a queue, and remembers what it was asked.
 * Transactions and sessions need nothing of the queue, unless autoReply() is switched off; statements
 * take one reply each.
 */
final class FakeTransport implements Transport
{
    private const ENDINGS = ['TransactionCommit', 'TransactionRollback', 'SessionEnd', 'CursorClose'];

    /** @var list<array<string, mixed>|Throwable|FakeLoss> */
    private array $queue = [];
    /** @var list<FakeRequest> */
    private array $requests = [];
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
        $statements = array_filter(
            $this->requests,
            static fn (FakeRequest $request): bool => $request->sql() !== null && !$request->isControl(),
        );

        return array_values(array_map(
            static fn (FakeRequest $request): string => (string) $request->sql(),
            $statements,
        ));
    }

    /** Replies that nobody has asked for yet. */
    public function remaining(): int
    {
        return count($this->queue);
    }

    public function call(string $method, array $request, float $timeout): array
    {
        $this->requests[] = $asked = new FakeRequest($method, $request, $timeout);
        $reply = $this->autoReply ? $this->automatic($asked) : null;
        $reply ??= array_shift($this->queue)
            ?? throw new UnderflowException("FakeTransport has no reply for {$method} {$asked->sql()}");
        if ($reply instanceof FakeLoss) {
            $this->loseConnection();
            throw $reply->error;
        }
        if ($reply instanceof Throwable) {
            throw $reply;
        }

        return $reply;
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
}
