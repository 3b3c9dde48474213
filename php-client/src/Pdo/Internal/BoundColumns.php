<?php

declare(strict_types=1);

namespace RrPgpool\Pdo\Internal;

use PDO;
use RrPgpool\Pdo\PgpoolPdoException;

/**
 * The variables of bindColumn(), filled with every row that is fetched.
 *
 * @internal
 */
final class BoundColumns
{
    /** @var array<array-key, array{variable: mixed, type: int}> by name, or by position from 0 */
    private array $bound = [];

    /** @param int|string $column a name, or a number from 1 */
    public function bind(int|string $column, mixed &$variable, int $type): void
    {
        $this->bound[is_int($column) ? $column - 1 : $column] = ['variable' => &$variable, 'type' => $type];
    }

    public function isEmpty(): bool
    {
        return $this->bound === [];
    }

    /**
     * @param list<string> $names of the columns
     * @throws PgpoolPdoException when one of the bound columns is not there
     */
    public function check(array $names): void
    {
        foreach (array_keys($this->bound) as $column) {
            if (is_string($column) && !in_array($column, $names, true)) {
                throw PgpoolPdoException::of('HY000', "Did not find column name '{$column}' in the defined "
                    . 'columns; it will not be bound');
            }
        }
    }

    /**
     * @param list<string> $names of the columns
     * @param list<mixed> $row
     */
    public function fill(array $names, array $row): void
    {
        foreach ($this->bound as $column => $bound) {
            $index = is_int($column) ? $column : array_search($column, $names, true);
            if ($index !== false && array_key_exists($index, $row)) {
                $this->bound[$column]['variable'] = self::value($row[$index], $bound['type']);
            }
        }
    }

    private static function value(mixed $value, int $type): mixed
    {
        return match (true) {
            $value === null => null,
            $type === PDO::PARAM_INT => (int) (is_resource($value) ? stream_get_contents($value) : $value),
            $type === PDO::PARAM_BOOL => (bool) $value,
            $type === PDO::PARAM_STR => is_resource($value) ? stream_get_contents($value) : (string) $value,
            default => $value,
        };
    }
}
