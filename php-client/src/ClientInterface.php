<?php

declare(strict_types=1);

namespace RrPgpool;

use RrPgpool\Exception\OutcomeUnknown;
use RrPgpool\Exception\PgpoolException;

/**
 * PostgreSQL through rr-pgpool. Placeholders are $1, $2, …; arguments may be null, bool, int, float,
 * string, Bytea, BackedEnum, DateTimeInterface, JsonSerializable, Stringable, and arrays of these (a
 * list is a PostgreSQL array or a JSON list, a map is a JSON object).
 *
 * Every method throws PgpoolException, in the class that belongs to the SQLSTATE.
 */
interface ClientInterface
{
    /**
     * Executes one statement: in the transaction or session that is open, else on any connection.
     *
     * @param list<mixed> $args
     * @throws PgpoolException
     */
    public function execute(string $sql, array $args = []): Result;

    /**
     * Runs $work in a transaction: commits when it returns, rolls back when it throws. Inside another
     * one it is a savepoint. TransactionOptions::retries() has it run again, as a whole, after a
     * serialization failure or a deadlock; only the outermost transaction is.
     *
     * @template T
     * @param callable(self): T $work
     * @return T what $work returned
     * @throws OutcomeUnknown when the COMMIT was sent and not answered
     * @throws PgpoolException
     */
    public function transaction(callable $work, ?TransactionOptions $options = null): mixed;

    /**
     * Opens a transaction, or a savepoint inside one. Prefer transaction().
     *
     * @throws PgpoolException
     */
    public function begin(?TransactionOptions $options = null): void;

    /**
     * Commits what the last begin() opened. Whatever it throws, a transaction is over then; a savepoint
     * is not.
     *
     * @throws OutcomeUnknown when it was sent and not answered
     * @throws PgpoolException when it was not committed
     */
    public function commit(): void;

    /**
     * Rolls back what the last begin() opened. That it is rolled back already is no failure.
     *
     * @throws PgpoolException
     */
    public function rollback(): void;

    public function inTransaction(): bool;

    /**
     * Runs $work on a connection of its own, for what outlives a transaction: temporary tables,
     * advisory locks, SET, lastval(). Inside another session it is run in that one.
     *
     * @template T
     * @param callable(self): T $work
     * @param array<string, string|int|float|bool> $settings PostgreSQL parameters for the session
     * @return T what $work returned
     * @throws PgpoolException
     */
    public function session(callable $work, array $settings = []): mixed;

    /** An empty batch, in the database and scope of this client. */
    public function batch(): Batch;

    /**
     * The rows of a large result, without having all of them in memory. The statement is sent when the
     * iteration begins; outside a transaction it has a read-only one of its own until the iteration
     * ends, which a break does as well. Inside a session it needs a transaction around it.
     *
     * @param list<mixed> $args
     * @param int $chunk rows fetched at a time, at most a million
     * @return iterable<int, array<string, mixed>>
     * @throws PgpoolException
     */
    public function stream(string $sql, array $args = [], int $chunk = 1000): iterable;

    /**
     * Numbers of all pools.
     *
     * @return array<string, PoolStats> by database
     * @throws PgpoolException
     */
    public function stats(): array;

    /**
     * The statements that all databases spend their time on, the most expensive first.
     *
     * @param int $limit 1 to 1000
     * @param string $order total, calls, mean, p99, rows or errors
     * @return list<TopQuery>
     * @throws PgpoolException
     */
    public function topQueries(int $limit = 20, string $order = 'total'): array;

    /**
     * Asks every database for a sign of life.
     *
     * @throws PgpoolException
     */
    public function health(): Health;

    /** @throws PgpoolException */
    public function version(): Version;

    /**
     * A client for another database of the pool, with transactions of its own. Clients of one family
     * that name the same database share its transaction.
     */
    public function withDatabase(string $database): static;

    /**
     * A client whose statements have this timeout; it is in the same transaction.
     *
     * @param int|null $milliseconds null: the server's behavior.query_timeout, -1: none
     */
    public function withTimeout(?int $milliseconds): static;

    /**
     * A client whose statements have these PostgreSQL parameters in addition; it is in the same
     * transaction.
     *
     * @param array<string, string|int|float|bool> $settings
     */
    public function withSettings(array $settings): static;

    /**
     * A client whose statements, batches, streams and read-only transactions go to this server of the
     * database, where it has replicas. Inside a transaction everything stays where that is.
     */
    public function withRoute(Route $route): static;

    /**
     * A client whose reads may be answered from the server's memory, where it has a cache: no answer is
     * older than this, and no write ends it before. Inside a transaction everything is executed.
     *
     * @param int|null $milliseconds null: the server's features.cache.ttl, 0: nothing comes from there
     */
    public function withCache(?int $milliseconds = null): static;

    /**
     * For the end of a request: rolls back transactions, ends sessions and closes streams that were left
     * open, in all databases of this client's family, and logs a warning about each. Never throws.
     */
    public function reset(): void;
}
