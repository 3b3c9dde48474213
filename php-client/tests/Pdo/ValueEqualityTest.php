<?php

declare(strict_types=1);

namespace RrPgpool\Tests\Pdo;

use PDO;

/**
 * The same statements with the same parameters give the same values, types and errors with pdo_pgsql
 * and with the facade.
 *
 * @requires extension pdo_pgsql
 */
final class ValueEqualityTest extends FacadeTestCase
{
    /** @return iterable<string, array{string}> */
    public static function values(): iterable
    {
        $values = [
            '1::int2', '2147483647', '9223372036854775807', '4294967295::oid', 'true', 'false', 'null',
            "''", "'täxt'", "'x'::varchar", "'x '::char(3)", "'a'::\"char\"", "'n'::name",
            '1.50::numeric', "'NaN'::numeric", '1e30::numeric', "'1.5'::float4", '0.1::float4', '1e6::float4',
            '16777217::float4', '1e-5::float4', '1.5::float8', '0.1::float8 + 0.2', '1e15::float8', '1e14::float8',
            "'-0'::float8", '5e-324::float8', '1.7976931348623157e308::float8', "'NaN'::float8",
            "'Infinity'::float8", "'-Infinity'::float4", '100::float8', '-123456.789::float8',
            "'{\"a\": [1, 2.50]}'::json", "'{\"b\":1,\"a\":null}'::jsonb", "'\"x\"'::jsonb", "'null'::jsonb",
            "'{1,2}'::int[]", "'{{a,b},{c,NULL}}'::text[]", "'{t,f}'::bool[]", "'{}'::float8[]",
            "'2024-02-29'::date", "'2024-02-29 12:30:45.5'::timestamp", "'2024-02-29 12:30+02'::timestamptz",
            "'infinity'::timestamp", "'12:30'::time", "'1 day 2 hours'::interval",
            "'\\x00ff61'::bytea", "''::bytea", "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid",
            "'192.168.0.1/24'::inet", "'08:00:2b:01:02:03'::macaddr", "'1.5'::money", "B'101'", "'(1,2)'::point",
            '(1, \'a\')', "'[1,5)'::int4range", "'pg_class'::regclass", "'<a/>'::xml", "'a b'::tsvector", '1::bigint[]',
        ];
        foreach ($values as $value) {
            yield $value => [$value];
        }
    }

    /** @dataProvider values */
    public function testValues(string $value): void
    {
        $sql = "SELECT {$value} AS v";
        $this->assertEqualBehaviour(static fn (PDO $pdo): mixed => $pdo->query($sql)->fetch(PDO::FETCH_NUM));
        $this->assertEqualBehaviour(static function (PDO $pdo) use ($sql): mixed {
            $pdo->setAttribute(PDO::ATTR_STRINGIFY_FETCHES, true);

            return $pdo->query($sql)->fetchAll(PDO::FETCH_ASSOC);
        });
    }

    /** @return iterable<string, array{string, list<mixed>}> */
    public static function executions(): iterable
    {
        yield 'positions' => ['SELECT ?::int, ?::text', [1, 'a']];
        yield 'strings of everything' => ['SELECT ?::text, ?::text, ?::text, ?::text', [1, 1.0, true, 0.1 + 0.2]];
        yield 'null' => ['SELECT ?::int', [null]];
        yield 'false is an empty string' => ['SELECT ?::text', [false]];
        yield 'which is no boolean' => ['SELECT ?::bool', [false]];
        yield 'names' => ['SELECT :a::int, :b::int, :a::int', ['a' => 1, ':b' => 2]];
        yield 'names by position' => ['SELECT :b::int, :a::int', [1, 2]];
        yield 'json' => ["SELECT '{\"a\":1}'::jsonb ?? ?, ?::jsonb", ['a', '{"x":1}']];
        yield 'arrays' => ['SELECT ?::int[], 2 = ANY(?)', ['{1,2}', '{2,3}']];
        yield 'types by inference' => ['SELECT * FROM generate_series(1, 3) g WHERE g = ?', ['2']];
        yield 'comments' => ["SELECT /* ? */ ?::int -- ?\n, ':a'", [1]];
        yield 'too few' => ['SELECT ?::int, ?::int', [1]];
        yield 'too many' => ['SELECT ?::int', [1, 2]];
        yield 'none' => ['SELECT ?::int', []];
        yield 'an unknown name' => ['SELECT :a::int', ['b' => 1]];
        yield 'a further name' => ['SELECT :a::int', ['a' => 1, 'b' => 2]];
        yield 'a missing name' => ['SELECT :a::int, :b::int', ['b' => 1]];
        yield 'a hole' => ['SELECT ?::int', [3 => 'x']];
        yield 'both kinds' => ['SELECT ?::int, :a::int', [1]];
        yield 'no integer' => ['SELECT ?::int', ['x']];
        $blanks = str_repeat(' ', 80);
        yield 'a long statement' => ["{$blanks}SELECT ?::int AND nosuchcolumn{$blanks}x", [1]];
        yield 'several lines' => ["SELECT ?::int,\n\tnosuch\nFROM pg_class", [1]];
        yield 'wide letters' => ["SELECT 'äöü', nosuch", []];
        yield 'a long line' => ["SELECT '" . str_repeat('é', 70) . "', nosuch, '" . str_repeat('x', 70) . "'", []];
        yield 'division' => ['SELECT 1 / ?::int', [0]];
        yield 'a hint' => ['SELECT relnam FROM pg_class', []];
        yield 'detail' => ["SELECT '[\"a'::json", []];
        yield 'no table' => ['SELECT * FROM nosuch', []];
        yield 'no function' => ['SELECT nosuch(?::int)', [1]];
    }

    /**
     * @dataProvider executions
     * @param array<array-key, mixed> $parameters
     */
    public function testExecute(string $sql, array $parameters): void
    {
        $this->assertEqualBehaviour(static function (PDO $pdo) use ($sql, $parameters): mixed {
            $statement = $pdo->prepare($sql);
            $statement->execute($parameters);

            return $statement->fetchAll(PDO::FETCH_NUM);
        });
    }

    /** @return iterable<string, array{mixed, int, string}> */
    public static function bindings(): iterable
    {
        yield 'true' => [true, PDO::PARAM_BOOL, 'bool'];
        yield 'false' => [false, PDO::PARAM_BOOL, 'bool'];
        yield '0 as bool' => [0, PDO::PARAM_BOOL, 'bool'];
        yield "'yes' as bool" => ['yes', PDO::PARAM_BOOL, 'bool'];
        yield 'bool as text' => [true, PDO::PARAM_BOOL, 'text'];
        yield 'int' => [5, PDO::PARAM_INT, 'int'];
        yield 'numeric string as int' => ['5', PDO::PARAM_INT, 'int'];
        yield 'bool as int' => [true, PDO::PARAM_INT, 'text'];
        yield 'text as int' => ['1abc', PDO::PARAM_INT, 'text'];
        yield 'null' => ['x', PDO::PARAM_NULL, 'text'];
        yield 'null as int' => [null, PDO::PARAM_INT, 'int'];
        yield 'null as lob' => [null, PDO::PARAM_LOB, 'bytea'];
        yield 'text' => ["it's \\ 'x'", PDO::PARAM_STR, 'text'];
        yield 'national text' => ['x', PDO::PARAM_STR | PDO::PARAM_STR_NATL, 'text'];
        yield 'bytes' => ["\0\xff'\\", PDO::PARAM_LOB, 'bytea'];
        yield 'float' => [1.5, PDO::PARAM_STR, 'numeric'];
    }

    /** @dataProvider bindings */
    public function testBindValue(mixed $value, int $type, string $cast): void
    {
        foreach (['?', ':v'] as $placeholder) {
            $this->assertEqualBehaviour(static function (PDO $pdo) use ($value, $type, $cast, $placeholder): mixed {
                $statement = $pdo->prepare("SELECT {$placeholder}::{$cast}");
                $statement->bindValue($placeholder === '?' ? 1 : 'v', $value, $type);
                $statement->execute();

                return $statement->fetch(PDO::FETCH_NUM);
            });
        }
    }
}
