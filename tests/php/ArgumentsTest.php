<?php

declare(strict_types=1);

namespace RrPgpool\Tests;

use PHPUnit\Framework\Attributes\DataProvider;
use RrPgpool\Example\GoridgeClient;

/**
 * What a PHP value becomes as an argument, for every type that PHP has and both codecs.
 */
final class ArgumentsTest extends PgpoolTestCase
{
    private const UUID = 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11';
    private const BYTES = "\x00\xff'\\\x80";

    /** @dataProvider arguments */
    #[DataProvider('arguments')]
    public function testTakesEveryPhpType(int $codec, string $type, mixed $arg, mixed $expected): void
    {
        $reply = $this->connect($codec)->execute("SELECT \$1::{$type} AS v", [$arg]);
        self::assertSame([['v' => $expected]], $this->succeed($reply)['rows']);
    }

    /** @return iterable<string, array{int, string, mixed, mixed}> */
    public static function arguments(): iterable
    {
        foreach (self::codecs() as $name => [$codec]) {
            foreach ([...self::scalars(), ...self::strings(), ...self::lists(), ...self::documents()] as $case) {
                $php = preg_replace('/\s+/', ' ', var_export($case[1], true));
                yield "{$name}: {$php} as {$case[0]}" => [$codec, ...$case];
            }
        }
    }

    /** @return list<array{string, mixed, mixed}> type, argument, result */
    private static function scalars(): array
    {
        return [
            ['text', null, null],
            ['int4', null, null],
            ['jsonb', null, null],
            ['bool', true, true],
            ['bool', false, false],
            ['text', true, 'true'],
            ['text', false, 'false'],
            ['int4', true, 1],
            ['int4', false, 0],
            ['numeric', true, '1'],
            ['jsonb', true, true],
            ['int2', -32768, -32768],
            ['int4', 2147483647, 2147483647],
            ['int8', PHP_INT_MAX, PHP_INT_MAX],
            ['int8', PHP_INT_MIN, PHP_INT_MIN],
            ['int8', 9007199254740993, 9007199254740993],
            ['bool', 1, true],
            ['bool', 0, false],
            ['float8', 3, 3.0],
            ['numeric', 12, '12'],
            ['text', -12, '-12'],
            ['jsonb', 12, 12],
            ['float8', 0.1, 0.1],
            ['float8', -1.5e300, -1.5e300],
            ['float4', 0.5, 0.5],
            ['int4', 3.0, 3],
            ['numeric', 0.1, '0.1'],
            ['text', 0.1, '0.1'],
            ['text', 2.0, '2'],
            ['text', 1e25, '1e+25'],
            ['jsonb', 0.25, 0.25],
        ];
    }

    /** @return list<array{string, mixed, mixed}> */
    private static function strings(): array
    {
        $text = "straße ✓ 'quoted' \\ \n";

        return [
            ['text', $text, $text],
            ['text', '', ''],
            ['varchar(3)', 'abcd', 'abc'],
            ['int4', '12', 12],
            ['bool', 'yes', true],
            ['numeric', '12345678901234567890.5', '12345678901234567890.5'],
            ['uuid', strtoupper(self::UUID), self::UUID],
            ['date', '2024-02-29', '2024-02-29'],
            ['interval', '90 minutes', '01:30:00'],
            ['inet', '10.0.0.1', '10.0.0.1'],
            ['int4range', '[1,5]', '[1,6)'],
            ['point', '(1,2)', '(1,2)'],
            ['int[]', '{1,NULL}', [1, null]],
            ['jsonb', '{"a": [1]}', ['a' => [1]]],
        ];
    }

    /** @return list<array{string, mixed, mixed}> */
    private static function lists(): array
    {
        return [
            ['int[]', [1, null, 3], [1, null, 3]],
            ['int[]', [], []],
            ['int[]', [[1, 2], [3, 4]], [[1, 2], [3, 4]]],
            ['bool[]', [true, false], [true, false]],
            ['float8[]', [1, 2.5], [1.0, 2.5]],
            ['text[]', ['a', 'b,"c"', '', 'NULL', '{}'], ['a', 'b,"c"', '', 'NULL', '{}']],
            ['text[]', ['a', 1, true, null], ['a', '1', 'true', null]],
            ['uuid[]', [self::UUID], [self::UUID]],
            ['jsonb[]', [['a' => 1], [1, 2]], [['a' => 1], [1, 2]]],
        ];
    }

    /** @return list<array{string, mixed, mixed}> */
    private static function documents(): array
    {
        $map = ['a' => [1, ['b' => null]], 'c' => 'ü', 'd' => 1.5];

        return [
            ['jsonb', $map, $map],
            ['json', $map, $map],
            ['json', [1, 'two', false, null], [1, 'two', false, null]],
            ['json', [], []],
            ['json', [7 => 'x'], [7 => 'x']],
            ['json', (object) ['a' => 1, 'b' => (object) ['c' => true]], ['a' => 1, 'b' => ['c' => true]]],
        ];
    }

    public function testTakesBinaryInBothCodecs(): void
    {
        $sql = 'SELECT $1::bytea AS v, octet_length($1) AS length';
        $msgpack = $this->succeed($this->connect(GoridgeClient::MSGPACK)->execute($sql, [self::BYTES]));
        self::assertSame([['v' => self::BYTES, 'length' => 5]], $msgpack['rows']);
        $json = $this->execute($sql, [['$bytea' => base64_encode(self::BYTES)]]);
        self::assertSame([['v' => '\x' . bin2hex(self::BYTES), 'length' => 5]], $json['rows']);
    }

    public function testTakesListsOfBinary(): void
    {
        $sql = 'SELECT $1::bytea[] AS v';
        $list = [self::BYTES, null];
        $msgpack = $this->succeed($this->connect(GoridgeClient::MSGPACK)->execute($sql, [$list]));
        self::assertSame([['v' => $list]], $msgpack['rows']);
        $wrapped = [['$bytea' => base64_encode(self::BYTES)], null];
        $json = $this->execute($sql, [$wrapped]);
        self::assertSame([['v' => ['\x' . bin2hex(self::BYTES), null]]], $json['rows']);
    }

    public function testTakesFloatsThatJsonCannotWrite(): void
    {
        $client = $this->connect(GoridgeClient::MSGPACK);
        foreach (['NaN' => NAN, 'Infinity' => INF, '-Infinity' => -INF] as $text => $float) {
            $reply = $client->execute('SELECT $1::float8 AS v, $1::float8::text AS t', [$float]);
            self::assertSame([['v' => $text, 't' => $text]], $this->succeed($reply)['rows']);
        }
    }

    /** @dataProvider codecs */
    #[DataProvider('codecs')]
    public function testNamesTheParameterThatDoesNotFit(int $codec): void
    {
        $client = $this->connect($codec);
        $reply = $client->execute('SELECT $1::int, $2::int', [1, [2]]);
        $this->assertFailed('22023', 'parameter $2: cannot use a list as int4', $reply);
        $reply = $client->execute('SELECT $1::timestamptz', [['date' => '2024-02-29']]);
        $this->assertFailed('22023', 'parameter $1: cannot use a map as timestamptz', $reply);
        $reply = $client->execute('SELECT $1::text', ["a\0b"]);
        $this->assertFailed('22021', 'parameter $1', $reply);
        $this->assertFailed('22P02', 'invalid input syntax', $client->execute('SELECT $1::int', ['x']));
        self::assertSame(1, $this->value('SELECT 1'));
    }

    public function testCountsTheArguments(): void
    {
        $few = $this->client->execute('SELECT $1::int, $2::int', [1]);
        self::assertArrayHasKey('sqlstate', $few);
        self::assertStringContainsString('2', $few['error']);
        $many = $this->client->execute('SELECT $1::int', [1, 2]);
        self::assertArrayHasKey('sqlstate', $many);
        self::assertSame(1, $this->value('SELECT 1'));
    }
}
