<?php

declare(strict_types=1);

namespace RrPgpool\Transport;

/**
 * Describes columns as the server does.
 *
 * @internal
 */
final class FakeColumns
{
    private const OIDS = [
        'bool' => 16,
        'bytea' => 17,
        'int8' => 20,
        'int2' => 21,
        'int4' => 23,
        'text' => 25,
        'json' => 114,
        'float4' => 700,
        'float8' => 701,
        '_bytea' => 1001,
        'timestamptz' => 1184,
        'numeric' => 1700,
        'uuid' => 2950,
        'jsonb' => 3802,
    ];

    /**
     * @param string|array{string, string} $column a name, or a name and a type
     * @return array{name: string, type: string, oid: int}
     */
    public static function describe(string|array $column): array
    {
        [$name, $type] = is_array($column) ? $column : [$column, 'text'];

        return ['name' => $name, 'type' => $type, 'oid' => self::OIDS[$type] ?? 0];
    }
}
