<?php

declare(strict_types=1);

namespace RrPgpool;

use Countable;
use RrPgpool\Exception\PgpoolException;
use RrPgpool\Internal\Executor;

/**
 * Collects statements (up to 1000) and executes them in one round trip, in order.
 */
final class Batch implements Countable
{
    /** @var list<array{string, array<mixed>}> */
    private array $statements = [];

    /** @internal by Client::batch() */
    public function __construct(private readonly Executor $executor, private readonly ?ExecuteOptions $options)
    {
    }

    /**
     * @param list<mixed> $args
     * @return $this
     */
    public function add(string $sql, array $args = []): self
    {
        $this->statements[] = [$sql, $args];

        return $this;
    }

    /** Number of statements. */
    public function count(): int
    {
        return count($this->statements);
    }

    /**
     * Executes each statement by itself, as if it had come alone. Inside a transaction an error fails
     * those behind it, as ever.
     *
     * @return list<Result|PgpoolException> one for each statement
     * @throws PgpoolException when the batch could not be executed as a whole
     */
    public function run(): array
    {
        return array_map(
            static fn (array|PgpoolException $reply): Result|PgpoolException =>
                is_array($reply) ? new Result($reply) : $reply,
            $this->executor->batch($this->statements, false, $this->options),
        );
    }

    /**
     * Executes all statements or none, in a transaction of its own, or in the present one up to a
     * savepoint.
     *
     * @return list<Result>
     * @throws PgpoolException the first error, after which nothing was executed; its statement() is the
     *     position, from 0
     */
    public function runAtomic(): array
    {
        return array_map(
            static fn (array|PgpoolException $reply): Result =>
                is_array($reply) ? new Result($reply) : throw $reply,
            $this->executor->batch($this->statements, true, $this->options),
        );
    }
}
