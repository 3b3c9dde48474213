<?php

declare(strict_types=1);

namespace RrPgpool\Pdo\Internal;

use PDO;
use RrPgpool\Pdo\PgpoolPdoException;
use ValueError;

/**
 * What fetchAll() makes of all the rows that are left: a list, pairs or groups.
 *
 * @internal
 */
final class AllRows
{
    /**
     * @param BoundColumns $columns filled with every row on the way
     * @return array<array-key, mixed>
     * @throws PgpoolPdoException
     */
    public static function of(ResultSet $result, FetchMode $mode, BoundColumns $columns): array
    {
        if ($mode->flags & PDO::FETCH_GROUP && $result->names !== []) {
            return self::grouped($result, $mode, $columns);
        }
        $shape = RowShape::of($mode, $result->names);
        $all = [];
        foreach (self::rows($result, $columns) as $row) {
            if ($mode->mode === PDO::FETCH_KEY_PAIR) {
                $all[RowShape::key($row[0])] = $row[1];
            } else {
                $all[] = $shape($row);
            }
        }

        return $all;
    }

    /** @return array<array-key, mixed> */
    private static function grouped(ResultSet $result, FetchMode $mode, BoundColumns $columns): array
    {
        $unique = ($mode->flags & PDO::FETCH_UNIQUE) === PDO::FETCH_UNIQUE;
        if ($mode->mode === PDO::FETCH_COLUMN) {
            [$key, $value] = self::keyAndValue($mode->arguments[0] ?? null, $unique);
            if (max($key, $value) >= count($result->names)) {
                throw new ValueError('Invalid column index');
            }
        } else {
            $key = 0;
            $shape = RowShape::of($mode, array_slice($result->names, 1), 1);
        }
        $all = [];
        foreach (self::rows($result, $columns) as $row) {
            $group = RowShape::key($row[$key]);
            $item = isset($shape) ? $shape(array_slice($row, 1)) : $row[$value];
            if ($unique) {
                $all[$group] = $item;
            } else {
                $all[$group][] = $item;
            }
        }

        return $all;
    }

    /**
     * The columns that PDO takes; the number given to it is the key's of groups, else the value's.
     *
     * @return array{int, int}
     */
    private static function keyAndValue(?int $column, bool $unique): array
    {
        return match (true) {
            $column === null => [0, 1],
            $unique => [0, $column],
            default => [$column, 0],
        };
    }

    /** @return iterable<list<mixed>> */
    private static function rows(ResultSet $result, BoundColumns $columns): iterable
    {
        while (($row = $result->next()) !== null) {
            if (!$columns->isEmpty()) {
                $columns->fill($result->names, $row);
            }
            yield $row;
        }
    }
}
