<?php

declare(strict_types=1);

namespace RrPgpool;

use Countable;
use IteratorAggregate;
use RrPgpool\Exception\InvalidArgument;
use RrPgpool\Internal\Hydrator;
use RrPgpool\Internal\RowReader;
use Traversable;

/**
 * What a statement returned. All rows are in memory (see Client::stream() for large results), so every
 * method may be called at any time and as often as needed. A row is a map from column name to value;
 * of columns with the same name the last one wins.
 *
 * Values: bool, int and float as such (NaN and infinities as strings), json and jsonb as nested arrays,
 * arrays as lists, bytea as binary strings, everything else (numeric, timestamps, uuid, …) as the text
 * that PostgreSQL prints.
 *
 * @implements IteratorAggregate<int, array<string, mixed>>
 */
final class Result implements IteratorAggregate, Countable
{
    private ?RowReader $reader = null;

    /**
     * @internal
     * @param array<string, mixed> $reply a reply of Execute with `result: rows`
     */
    public function __construct(private readonly array $reply)
    {
    }

    /** @return Traversable<int, array<string, mixed>> */
    public function getIterator(): Traversable
    {
        $reader = $this->reader();
        foreach ($this->rows() as $row) {
            yield $reader->assoc($row);
        }
    }

    /** Whether the server has answered from its memory. */
    public function isFromCache(): bool
    {
        return ($this->reply['cache'] ?? null) === 'hit';
    }

    /** Number of rows returned; see rowsAffected() for the others. */
    public function count(): int
    {
        return count($this->rows());
    }

    /** @return list<array<string, mixed>> */
    public function fetchAll(): array
    {
        return $this->reader()->assocAll($this->rows());
    }

    /**
     * The first row.
     *
     * @return array<string, mixed>|null null when there is none
     */
    public function fetchOne(): ?array
    {
        $rows = $this->rows();

        return $rows === [] ? null : $this->reader()->assoc($rows[0]);
    }

    /**
     * One value of the first row.
     *
     * @return mixed null also when there is no row
     * @throws InvalidArgument when there is no such column
     */
    public function fetchValue(int|string $column = 0): mixed
    {
        $rows = $this->rows();

        return $rows === [] ? null : $this->reader()->values($rows[0])[$this->position($column)];
    }

    /**
     * One column of all rows.
     *
     * @return list<mixed>
     * @throws InvalidArgument when there is no such column
     */
    public function fetchColumn(int|string $column = 0): array
    {
        $rows = $this->rows();

        return $rows === []
            ? []
            : array_column(array_map($this->reader()->values(...), $rows), $this->position($column));
    }

    /**
     * A map from the first column to the second. A key of null is '', as ever in PHP.
     *
     * @return array<array-key, mixed>
     * @throws InvalidArgument when there is only one column, or the first has lists
     */
    public function fetchKeyPair(): array
    {
        $pairs = [];
        foreach ($this->rows() as $row) {
            $row = $this->reader()->values($row);
            $pairs[self::key($row[$this->position(0)])] = $row[$this->position(1)];
        }

        return $pairs;
    }

    /**
     * The first row as an object. Columns become constructor parameters of the same name, else public
     * properties; `created_at` also fits `$createdAt`, and columns that fit nothing are left out, but for
     * stdClass, which takes all of them. A value becomes a DateTimeImmutable or a backed enum where the
     * type asks for one.
     *
     * @template T of object
     * @param class-string<T> $class
     * @return T|null null when there is no row
     * @throws InvalidArgument when a required parameter has no column
     */
    public function fetchObject(string $class): ?object
    {
        $row = $this->fetchOne();

        return $row === null ? null : (new Hydrator($class))->create($row);
    }

    /**
     * All rows as objects, made as by fetchObject().
     *
     * @template T of object
     * @param class-string<T> $class
     * @return list<T>
     * @throws InvalidArgument when a required parameter has no column
     */
    public function fetchObjects(string $class): array
    {
        return array_map((new Hydrator($class))->create(...), $this->fetchAll());
    }

    /** @return list<Column> none when the statement has no result */
    public function columns(): array
    {
        return $this->reader()->columns();
    }

    /** Rows inserted, updated, deleted or selected, by the command tag; 0 where it counts none. */
    public function rowsAffected(): int
    {
        return (int) ($this->reply['rows_affected'] ?? 0);
    }

    /** Microseconds in the pool and the database, waiting for a connection included. */
    public function executionTimeUs(): int
    {
        return (int) ($this->reply['execution_time_us'] ?? 0);
    }

    /** @return list<list<mixed>> */
    private function rows(): array
    {
        return $this->reply['rows'] ?? [];
    }

    private function reader(): RowReader
    {
        return $this->reader ??= new RowReader($this->reply['columns'] ?? []);
    }

    private static function key(mixed $value): int|string
    {
        return match (true) {
            is_array($value) => throw new InvalidArgument('a list or document cannot be a key', '22023'),
            is_int($value) => $value,
            is_bool($value) => (int) $value,
            default => (string) $value,
        };
    }

    private function position(int|string $column): int
    {
        return $this->reader()->position($column)
            ?? throw new InvalidArgument("the result has no column {$column}", '42703');
    }
}
