<?php

declare(strict_types=1);

namespace RrPgpool\Internal;

use RrPgpool\Exception\ConnectionLost;
use RrPgpool\Exception\InvalidArgument;
use RrPgpool\Exception\OutcomeUnknown;
use RrPgpool\Exception\PgpoolException;
use RrPgpool\Exception\TransactionEnded;
use RrPgpool\ExecuteOptions;
use RrPgpool\QueryObserver;
use RrPgpool\TransactionOptions;
use RrPgpool\Transport;

/**
 * One logical connection: statements of one database, in the transaction or session that is open.
 * A statement never leaves its transaction: when that is lost, everything throws TransactionEnded
 * until it was rolled back here as well.
 *
 * @internal
 */
final class Executor
{
    /** Seconds to wait for a reply: more than the server's defaults for a query and a connection. */
    public const REPLY_TIMEOUT = 60.0;

    private readonly Channel $channel;
    private readonly Scope $scope;
    private readonly Cursors $cursors;
    /** The last commit has failed, and nobody has rolled back or begun since. */
    private bool $commitFailed = false;

    /**
     * @param float $replyTimeout seconds, for whatever has no timeout of its own; it must exceed the
     *     server's behavior.query_timeout, since a reply that comes later is lost
     */
    public function __construct(
        Transport $transport,
        private readonly string $database = 'primary',
        ?QueryObserver $observer = null,
        float $replyTimeout = self::REPLY_TIMEOUT,
    ) {
        $this->channel = new Channel($transport, $database, $observer, $replyTimeout);
        $this->scope = new Scope();
        $this->cursors = new Cursors($this->channel);
    }

    public function database(): string
    {
        return $this->database;
    }

    /**
     * Executes one statement in the present scope.
     *
     * @param list<mixed> $args
     * @return array<string, mixed> the reply: `rows` as lists and `columns` where there is a result,
     *     `rows_affected`, `execution_time_us`
     * @throws PgpoolException
     */
    public function execute(string $sql, array $args = [], ?ExecuteOptions $options = null): array
    {
        $request = $this->statement($sql, $args, $options) + ($options?->toCacheRequest() ?? []);

        return $this->channel->statement('Execute', $request, $options, $sql, $args);
    }

    /**
     * Opens a transaction, or a savepoint in the one that is open.
     *
     * @throws PgpoolException and then nothing is open that was not before
     */
    public function begin(?TransactionOptions $options = null): void
    {
        $this->commitFailed = false;
        if ($this->scope->depth() > 0) {
            $this->refuseOptions($options, 'a nested transaction is a savepoint, and');
            $this->execute('SAVEPOINT ' . $this->savepoint());
            $this->scope->push();
        } elseif ($this->scope->inSession()) {
            $this->beginInSession($options ?? new TransactionOptions());
        } else {
            $request = $options === null ? [] : $options->toRequest();
            $reply = $this->channel->call('TransactionBegin', $request + $this->target());
            $generation = $this->channel->generation();
            $this->scope->openTransaction(Reply::id($reply, 'tx_id'), $generation, $options->settings ?? []);
        }
    }

    /**
     * Commits the innermost level. Whatever it throws, a transaction is over; a savepoint stays, to be
     * rolled back.
     *
     * @throws OutcomeUnknown when nobody can say whether it was committed
     * @throws PgpoolException when it was not
     */
    public function commit(): void
    {
        $this->requireTransaction();
        if ($this->scope->depth() > 1) {
            $this->execute('RELEASE SAVEPOINT ' . $this->savepoint(-1));
            $this->scope->pop();

            return;
        }
        $this->commitFailed = true;
        try {
            $this->scope->requireAlive($this->channel->generation());
            $this->endTransaction('TransactionCommit', 'COMMIT');
            $this->commitFailed = false;
        } finally {
            $this->scope->endTransaction();
        }
    }

    /**
     * Rolls the innermost level back. That the server did so before, or does because the connection
     * is gone, is no failure; nor is it after a commit that has failed, whose error must not be hidden.
     *
     * @throws PgpoolException when a savepoint cannot be rolled back to
     */
    public function rollback(): void
    {
        if ($this->commitFailed && $this->scope->depth() === 0) {
            $this->commitFailed = false;

            return;
        }
        $this->requireTransaction();
        if (!$this->scope->isCurrent($this->channel->generation())) {
            $this->scope->pop();

            return;
        }
        if ($this->scope->depth() > 1) {
            $this->rollbackToSavepoint();

            return;
        }
        try {
            $this->endTransaction('TransactionRollback', 'ROLLBACK');
        } catch (TransactionEnded | ConnectionLost | OutcomeUnknown) {
            // It is rolled back, which was asked for.
        } finally {
            $this->scope->endTransaction();
        }
    }

    /** Rolls back whatever is open, with all savepoints, and says whether there was anything. */
    public function rollbackAll(): bool
    {
        if ($this->scope->depth() === 0) {
            return false;
        }
        while ($this->scope->depth() > 1) {
            $this->scope->pop();
        }
        $this->rollback();

        return true;
    }

    /** Transactions around the next statement: 0 none, 1 a transaction, more with savepoints. */
    public function depth(): int
    {
        return $this->scope->depth();
    }

    /**
     * Opens a session: a server connection of one's own.
     *
     * @param array<string, string|int|float|bool> $settings
     * @throws PgpoolException
     */
    public function openSession(array $settings = []): void
    {
        if ($this->scope->isOpen()) {
            throw new InvalidArgument('a session cannot begin inside a transaction or another session', '25001');
        }
        $request = $settings === [] ? [] : ['settings' => $settings];
        $reply = $this->channel->call('SessionBegin', $request + $this->target());
        $this->scope->openSession(Reply::id($reply, 'session_id'), $this->channel->generation(), $settings);
    }

    /**
     * Ends the session, and with it a transaction that is open in it. That it has ended already is no
     * failure.
     *
     * @throws PgpoolException
     */
    public function closeSession(): void
    {
        if (!$this->hasSession()) {
            return;
        }
        try {
            if ($this->scope->isCurrent($this->channel->generation())) {
                $this->channel->call('SessionEnd', $this->scope->toRequest());
            }
        } catch (TransactionEnded | ConnectionLost | OutcomeUnknown) {
            // It has ended, which was asked for.
        } finally {
            $this->scope->close();
        }
    }

    public function hasSession(): bool
    {
        return $this->scope->inSession();
    }

    /** Whether the server has let go of the transaction or session that is open here. */
    public function isLost(): bool
    {
        return $this->scope->isLost($this->channel->generation());
    }

    /**
     * Executes statements in one round trip.
     *
     * @param list<array{0: string, 1: array<mixed>}> $statements
     * @param bool $atomic all of them or none
     * @return list<array<string, mixed>|PgpoolException> one for each statement, in order
     * @throws PgpoolException when the batch failed as a whole, as an atomic one does with the first
     *     statement that fails; statement() says which
     */
    public function batch(array $statements, bool $atomic, ?ExecuteOptions $options = null): array
    {
        if ($statements === []) {
            return [];
        }
        $request = BatchRequest::of($statements, $atomic, $options) + $this->target();
        $sql = implode('; ', array_column($statements, 0));
        $args = array_column($statements, 1);
        try {
            $reply = $this->channel->statement('ExecuteBatch', $request, $options, $sql, $args);
        } catch (PgpoolException $error) {
            $culprit = $statements[$error->statement() ?? -1] ?? null;
            if ($culprit !== null) {
                $error->attachQuery($culprit[0]);
            }
            throw $error;
        }

        return array_map(
            $this->batchResult(...),
            Reply::results($reply, count($statements)),
            array_column($statements, 0),
        );
    }

    /**
     * Opens a cursor over a statement's result.
     *
     * @param list<mixed> $args
     * @return array<string, mixed> `cursor_id`, `columns`
     * @throws PgpoolException
     */
    public function cursorOpen(string $sql, array $args = [], ?ExecuteOptions $options = null): array
    {
        if ($options !== null && $this->scope->hasSettings($options->settings)) {
            // A cursor takes none of its own inside a transaction.
            $options = new ExecuteOptions($options->timeoutMs, [], $options->types);
        }

        return $this->cursors->open($this->statement($sql, $args, $options), $options, $sql, $args);
    }

    /**
     * Fetches the next rows of a cursor. It is closed when there are no more, and by any failure.
     *
     * @param int $count rows at most
     * @param ExecuteOptions|null $options of which only the timeout counts
     * @return array<string, mixed> `rows` as lists, `done`
     * @throws PgpoolException
     */
    public function cursorFetch(string $cursorId, int $count, ?ExecuteOptions $options = null): array
    {
        return $this->cursors->fetch($cursorId, $count, $options);
    }

    /** Closes a cursor; that it is closed already is no failure. */
    public function cursorClose(string $cursorId): void
    {
        $this->cursors->close($cursorId);
    }

    /** Closes all cursors, and says whether there were any. */
    public function closeCursors(): bool
    {
        return $this->cursors->closeAll();
    }

    /**
     * Calls another method, such as PoolStats.
     *
     * @param array<string, mixed> $request
     * @return array<string, mixed>
     * @throws PgpoolException
     */
    public function call(string $method, array $request = []): array
    {
        return $this->channel->call($method, $request);
    }

    /**
     * @param array<mixed> $args
     * @return array<string, mixed>
     */
    private function statement(string $sql, array $args, ?ExecuteOptions $options): array
    {
        $request = ['query' => $sql, 'result' => 'rows'];
        if ($args !== []) {
            $request['args'] = Arguments::convert($args);
        }
        if ($options !== null) {
            $request += $options->toRequest();
        }

        return $request + $this->target();
    }

    /**
     * Where a request goes: to the transaction, to the session, or to the database.
     *
     * @return array<string, string>
     * @throws TransactionEnded when that is lost
     */
    private function target(): array
    {
        if ($this->scope->isOpen()) {
            $this->scope->requireAlive($this->channel->generation());

            return $this->scope->toRequest();
        }

        return $this->database === 'primary' ? [] : ['database' => $this->database];
    }

    /**
     * @param array<string, mixed> $result
     * @return array<string, mixed>|PgpoolException
     */
    private function batchResult(array $result, string $sql): array|PgpoolException
    {
        return isset($result['error']) ? ErrorTable::exception($result, $sql) : $result;
    }

    private function beginInSession(TransactionOptions $options): void
    {
        if ($options->idleTimeoutMs !== null || $options->maxLifetimeMs !== null) {
            throw new InvalidArgument('a transaction inside a session has the timeouts of the session', '22023');
        }
        $this->execute($options->toSql());
        $this->scope->push();
        try {
            foreach ($options->settings as $name => $value) {
                $text = is_bool($value) ? ($value ? 'on' : 'off') : (string) $value;
                $this->execute('SELECT set_config($1, $2, true)', [$name, $text]);
            }
        } catch (PgpoolException $error) {
            $this->rollback();
            throw $error;
        }
    }

    private function endTransaction(string $method, string $sql): void
    {
        if ($this->scope->inSession()) {
            $this->execute($sql);
        } else {
            $this->channel->call($method, $this->scope->toRequest());
        }
    }

    /**
     * Both statements in one round trip: without the second, the savepoint would stay below the next.
     * If that fails, nothing but the end of the whole transaction can undo the statements in question.
     */
    private function rollbackToSavepoint(): void
    {
        $name = $this->savepoint(-1);
        $sql = "ROLLBACK TO SAVEPOINT {$name}; RELEASE SAVEPOINT {$name}";
        $done = $this->isLost();
        try {
            if (!$done) {
                $this->execute($sql, [], new ExecuteOptions(simple: true));
                $done = true;
            }
        } catch (TransactionEnded | ConnectionLost | OutcomeUnknown) {
            // It is rolled back as a whole, which its next use has to say.
        } finally {
            if (!$done) {
                $this->scope->lose('a savepoint could not be rolled back to');
            }
            $this->scope->pop();
        }
    }

    private function savepoint(int $offset = 0): string
    {
        return 'pgpool_' . ($this->scope->depth() + $offset);
    }

    private function requireTransaction(): void
    {
        if ($this->scope->depth() === 0) {
            throw new TransactionEnded('there is no transaction', '25P01');
        }
    }

    private function refuseOptions(?TransactionOptions $options, string $reason): void
    {
        if ($options !== null && $options->toRequest() !== []) {
            throw new InvalidArgument("{$reason} has no options of its own", '25001');
        }
    }
}
