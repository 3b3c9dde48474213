<?php

declare(strict_types=1);

namespace RrPgpool\Pdo\Internal;

use PDO;

/**
 * What getColumnMeta() says of a column. The pool tells name and type of it, so the table and the
 * precision are those of a column that has none.
 *
 * @internal
 */
final class ColumnMeta
{
    private const TYPES = [
        'bool' => PDO::PARAM_BOOL,
        'int2' => PDO::PARAM_INT,
        'int4' => PDO::PARAM_INT,
        'int8' => PDO::PARAM_INT,
        'oid' => PDO::PARAM_INT,
        'bytea' => PDO::PARAM_LOB,
    ];
    /** Bytes of the types that always have as many. */
    private const LENGTHS = [
        'bool' => 1, 'char' => 1, 'int2' => 2, 'int4' => 4, 'oid' => 4, 'float4' => 4, 'date' => 4,
        'int8' => 8, 'float8' => 8, 'money' => 8, 'time' => 8, 'timestamp' => 8, 'timestamptz' => 8,
        'macaddr' => 6, 'timetz' => 12, 'interval' => 16, 'uuid' => 16, 'point' => 16, 'name' => 64,
    ];

    /**
     * @param array<string, mixed> $column of the reply
     * @param string $name in the case that is asked for
     * @return array<string, mixed>
     */
    public static function of(array $column, string $name): array
    {
        $type = (string) $column['type'];

        return [
            'pgsql:oid' => $column['oid'],
            'pgsql:table_oid' => 0,
            'native_type' => $type,
            'pdo_type' => self::TYPES[$type] ?? PDO::PARAM_STR,
            'name' => $name,
            'len' => self::LENGTHS[$type] ?? -1,
            'precision' => -1,
        ];
    }
}
