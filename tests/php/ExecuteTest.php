<?php

declare(strict_types=1);

namespace RrPgpool\Tests;

use PHPUnit\Framework\Attributes\DataProvider;

final class ExecuteTest extends PgpoolTestCase
{
    /** @dataProvider codecs */
    #[DataProvider('codecs')]
    public function testGivesEachTypeItsPhpForm(int $codec): void
    {
        $sql = "SELECT 7::int2 AS a, 'NaN'::float8 AS b, '-Infinity'::float4 AS c, 1.50::numeric AS d, "
            . "'2024-01-02 03:04:05+00'::timestamptz AS e, '{\"n\": 12345678901234567890}'::jsonb AS f, "
            . "ARRAY[true, NULL] AS g, '10.0.0.0/8'::cidr AS h, NULL::int AS i, 'x'::\"char\" AS j";
        $options = ['settings' => ['TimeZone' => 'UTC']];
        $row = $this->succeed($this->connect($codec)->execute($sql, [], $options))['rows'][0];
        // Beyond PHP's integers; JSON's digits are kept by the decoder, MessagePack sends a string.
        self::assertSame('12345678901234567890', $row['f']['n']);
        unset($row['f']);
        self::assertSame([
            'a' => 7,
            'b' => 'NaN',
            'c' => '-Infinity',
            'd' => '1.50',
            'e' => '2024-01-02 03:04:05+00',
            'g' => [true, null],
            'h' => '10.0.0.0/8',
            'i' => null,
            'j' => 'x',
        ], $row);
    }

    public function testGivesTextWhereFrameworksExpectIt(): void
    {
        $sql = "SELECT 7 AS i, true AS b, 1.5::float8 AS f, '{\"a\": 1}'::jsonb AS j, ARRAY[1,2] AS l";
        $row = $this->execute($sql, [], ['types' => 'text'])['rows'][0];
        self::assertSame(['i' => 7, 'b' => true, 'f' => 1.5, 'j' => '{"a": 1}', 'l' => '{1,2}'], $row);
    }

    public function testGivesRowsInBothShapes(): void
    {
        $sql = 'SELECT 1 AS a, 2 AS b, 3 AS a';
        $assoc = $this->execute($sql);
        self::assertEquals([['a' => 3, 'b' => 2]], $assoc['rows'], 'of equal names the last wins');
        $rows = $this->execute($sql, [], ['result' => 'rows']);
        self::assertSame([[1, 2, 3]], $rows['rows']);
        self::assertSame(['a', 'b', 'a'], array_column($rows['columns'], 'name'));
        self::assertSame([23, 23, 23], array_column($rows['columns'], 'oid'));
        self::assertSame(['int4', 'int4', 'int4'], array_column($rows['columns'], 'type'));
    }

    public function testCountsRowsAndTellsNoRowsFromNoResult(): void
    {
        $table = $this->tableName();
        $created = $this->execute("CREATE TABLE {$table} (n int PRIMARY KEY)");
        self::assertArrayNotHasKey('rows', $created);
        self::assertArrayNotHasKey('columns', $created);
        self::assertSame(0, $created['rows_affected']);
        $inserted = $this->execute("INSERT INTO {$table} SELECT generate_series(1, 5)");
        self::assertSame(5, $inserted['rows_affected']);
        self::assertArrayNotHasKey('rows', $inserted);
        $none = $this->execute("SELECT n FROM {$table} WHERE n > 5");
        self::assertSame([], $none['rows']);
        self::assertSame('n', $none['columns'][0]['name']);
        self::assertSame(0, $none['rows_affected']);
        $deleted = $this->execute("DELETE FROM {$table} WHERE n > 3 RETURNING n");
        self::assertSame([['n' => 4], ['n' => 5]], $deleted['rows']);
        self::assertSame(2, $deleted['rows_affected']);
        $this->execute("DROP TABLE {$table}");
    }

    public function testReportsHowLongItTook(): void
    {
        $reply = $this->execute('SELECT pg_sleep(0.05)');
        self::assertGreaterThanOrEqual(50, $reply['execution_time']);
        self::assertGreaterThanOrEqual(50_000, $reply['execution_time_us']);
    }

    public function testExplainsSqlErrors(): void
    {
        $this->assertFailed('22012', 'division by zero', $this->client->execute('SELECT 1/0'));
        $this->assertFailed('42P01', 'does not exist', $this->client->execute('SELECT * FROM nowhere'));
        $syntax = $this->client->execute('SELECT FROM WHERE');
        $this->assertFailed('42601', 'syntax error', $syntax);
        self::assertSame(13, (int) $syntax['error_detail']['position']);

        $table = $this->tableName();
        $this->execute("CREATE TABLE {$table} (n int CONSTRAINT {$table}_pk PRIMARY KEY)");
        $this->execute("INSERT INTO {$table} VALUES (1)");
        $unique = $this->client->execute("INSERT INTO {$table} VALUES (\$1)", [1]);
        $this->assertFailed('23505', "unique constraint \"{$table}_pk\"", $unique);
        self::assertSame('ERROR', $unique['error_detail']['severity']);
        self::assertSame('Key (n)=(1) already exists.', $unique['error_detail']['detail']);
        self::assertSame($table, $unique['error_detail']['table']);
        self::assertSame("{$table}_pk", $unique['error_detail']['constraint']);
        $this->execute("DROP TABLE {$table}");
    }

    public function testKnowsItsDatabases(): void
    {
        self::assertSame(1, $this->value('SELECT 1', [], ['database' => 'other']));
        $reply = $this->client->execute('SELECT 1', [], ['database' => 'nowhere']);
        $this->assertFailed('3D000', 'nowhere', $reply);
    }

    public function testStopsStatementsThatTakeTooLong(): void
    {
        $started = hrtime(true);
        $reply = $this->client->execute('SELECT pg_sleep(20)', [], ['timeout' => 100]);
        self::assertSame('57014', $reply['sqlstate'] ?? null, (string) json_encode($reply));
        self::assertLessThan(10e9, hrtime(true) - $started);
        self::assertSame(1, $this->value('SELECT 1'));
    }

    public function testRunsSeveralStatementsOnlyWhenAsked(): void
    {
        $sql = 'SELECT 1 AS a; SELECT 2 AS b';
        self::assertSame('42601', $this->client->execute($sql)['sqlstate'] ?? null);
        self::assertSame([['b' => 2]], $this->execute($sql, [], ['simple' => true])['rows']);
    }

    public function testAppliesSettingsToOneCallOnly(): void
    {
        $before = $this->value("SELECT current_setting('TimeZone')");
        $options = ['settings' => ['TimeZone' => 'Asia/Tokyo', 'search_path' => 'pg_catalog']];
        self::assertSame('Asia/Tokyo', $this->value("SELECT current_setting('TimeZone')", [], $options));
        self::assertSame('pg_catalog', $this->value("SELECT current_setting('search_path')", [], $options));
        for ($i = 0; $i < 20; $i++) {
            self::assertSame($before, $this->value("SELECT current_setting('TimeZone')"));
        }
    }

    /** @dataProvider statementsThatNeedASession */
    #[DataProvider('statementsThatNeedASession')]
    public function testRefusesWhatNeedsASession(string $sql): void
    {
        $this->assertFailed('0A000', 'SessionBegin', $this->client->execute($sql));
    }

    /** @return array<string, array{string}> */
    public static function statementsThatNeedASession(): array
    {
        return [
            'LISTEN' => ['LISTEN news'],
            'a temporary table' => ['CREATE TEMP TABLE t (n int)'],
            'PREPARE' => ['PREPARE p AS SELECT 1'],
            'an advisory lock' => ['SELECT pg_advisory_lock(1)'],
            'lastval' => ['SELECT lastval()'],
        ];
    }

    public function testRefusesTransactionsBySqlOutsideOne(): void
    {
        $reply = $this->client->execute('BEGIN');
        self::assertStringContainsString('TransactionBegin', $reply['error'] ?? '');
    }
}
