<?php

declare(strict_types=1);

namespace RrPgpool\Tests\Frameworks;

use Throwable;

/** A framework's connection, by the few things that a worker does with it. */
interface Database
{
    /**
     * @param array<string, mixed> $row by column
     * @return int the id, in the framework's own way of getting it
     */
    public function insert(string $table, array $row): int;

    /**
     * @param list<mixed> $args
     * @return list<array<string, mixed>>
     */
    public function select(string $sql, array $args = []): array;

    /**
     * @param list<mixed> $args
     * @return int rows affected
     */
    public function execute(string $sql, array $args = []): int;

    /**
     * Prepares a statement for as long as the result lives.
     *
     * @return callable(list<mixed>): list<array<string, mixed>>
     */
    public function prepare(string $sql): callable;

    /** Commits on return, rolls back on an exception; within a transaction it is a savepoint. */
    public function transaction(callable $work): void;

    public function sqlstate(Throwable $error): ?string;
}
