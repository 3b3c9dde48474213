<?php

declare(strict_types=1);

namespace RrPgpool\Tests\Integration;

use DateTimeImmutable;
use RrPgpool\Bytea;
use RrPgpool\Exception\CheckViolation;
use RrPgpool\Exception\ConnectionLost;
use RrPgpool\Exception\DataError;
use RrPgpool\Exception\ForeignKeyViolation;
use RrPgpool\Exception\InvalidArgument;
use RrPgpool\Exception\NotNullViolation;
use RrPgpool\Exception\PgpoolException;
use RrPgpool\Exception\ProtocolException;
use RrPgpool\Exception\QueryError;
use RrPgpool\Exception\QueryTimeout;
use RrPgpool\Exception\SyntaxError;
use RrPgpool\Exception\UniqueViolation;
use RrPgpool\Internal\Executor;
use RrPgpool\IsolationLevel;

final class ExecuteTest extends ClientTestCase
{
    /** @dataProvider values */
    public function testValuesThereAndBack(string $type, mixed $value, mixed $expected): void
    {
        $returned = $this->client->execute("SELECT \$1::{$type}", [$value])->fetchValue();
        self::assertSame($expected, $returned);
    }

    /** @return array<string, array{string, mixed, mixed}> */
    public static function values(): array
    {
        $date = new DateTimeImmutable('2024-02-29 12:00:00.000001+02:00');

        return [
            'null' => ['int', null, null],
            'bool' => ['bool', false, false],
            'int' => ['bigint', PHP_INT_MIN, PHP_INT_MIN],
            'float' => ['float8', 0.1, 0.1],
            'whole float' => ['float8', 2.0, 2.0],
            'NaN' => ['float8', NAN, 'NaN'],
            'infinity' => ['float8', -INF, '-Infinity'],
            'numeric' => ['numeric', '12345678901234567890.10', '12345678901234567890.10'],
            'text' => ['text', "é'\\", "é'\\"],
            'enum' => ['text', IsolationLevel::Serializable, 'serializable'],
            'bytea' => ['bytea', new Bytea("\0\xff\\x41"), "\0\xff\\x41"],
            'bytea that looks like hex' => ['bytea', new Bytea('\x41'), '\x41'],
            'bytea array' => ['bytea[]', [new Bytea("\xff"), null], ["\xff", null]],
            'int array' => ['int[]', [1, null, 3], [1, null, 3]],
            'empty array' => ['text[]', [], []],
            'json list' => ['jsonb', [1, ['a' => null]], [1, ['a' => null]]],
            'json map' => ['jsonb', ['b' => 1.5, 'c' => 'x'], ['b' => 1.5, 'c' => 'x']],
            'empty json object' => ['jsonb', (object) [], []],
            'timestamptz' => ['timestamptz', $date, '2024-02-29 10:00:00.000001+00'],
            'timestamp' => ['timestamp', $date, '2024-02-29 12:00:00.000001'],
            'uuid' => ['uuid', 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'],
        ];
    }

    public function testAListInPlaceOfIn(): void
    {
        $found = $this->client->execute('SELECT n FROM generate_series(1, 9) n WHERE n = ANY($1)', [[2, 4]]);
        self::assertSame([2, 4], $found->fetchColumn());
        self::assertSame(2, $found->rowsAffected());
        self::assertSame('int4', $found->columns()[0]->type);
        self::assertGreaterThan(0, $found->executionTimeUs());
    }

    public function testErrors(): void
    {
        $table = $this->table('id int PRIMARY KEY, parent int REFERENCES ' . $this->table() . ', n int NOT NULL '
            . 'CHECK (n > 0)');
        $insert = "INSERT INTO {$table} VALUES (\$1, \$2, \$3)";
        $run = fn (string $sql, array $args = []) => fn () => $this->client->execute($sql, $args);
        $this->client->execute($insert, [1, null, 1]);

        $unique = $this->failure(UniqueViolation::class, $run($insert, [1, null, 1]));
        self::assertSame("{$table}_pkey", $unique->constraint());
        self::assertSame($table, $unique->table());
        self::assertSame('Key (id)=(1) already exists.', $unique->detail());
        self::assertSame('ERROR', $unique->severity());
        self::assertSame($insert, $unique->query());
        $this->failure(ForeignKeyViolation::class, $run($insert, [2, 7, 1]));
        self::assertSame('n', $this->failure(NotNullViolation::class, $run($insert, [2, null, null]))->column());
        $this->failure(CheckViolation::class, $run($insert, [2, null, 0]));
        $this->failure(DataError::class, $run('SELECT $1::int', ['x']));
        self::assertSame(8, $this->failure(SyntaxError::class, $run('SELECT ,'))->position());
        $this->failure(QueryError::class, $run('SELECT * FROM nonexistent'));
        $this->failure(QueryError::class, $run('SELECT $1::int', [1, 2]));
        self::assertSame('0A000', $this->failure(PgpoolException::class, $run('BEGIN'))->sqlstate());
        self::assertSame(1, $this->transport->generation(), 'none of them costs a connection');
    }

    public function testAnUnknownFieldIsAProtocolError(): void
    {
        $executor = new Executor($this->transport);
        $this->failure(ProtocolException::class, static fn () => $executor->call('Execute', ['qeury' => 'SELECT 1']));
        $this->failure(ProtocolException::class, static fn () => $executor->call('Nonsense'));
        self::assertSame(1, $this->transport->generation());
    }

    public function testTimeout(): void
    {
        $this->failure(
            QueryTimeout::class,
            fn () => $this->client->withTimeout(50)->execute('SELECT pg_sleep(10)'),
        );
        self::assertSame(1, $this->client->execute('SELECT 1')->fetchValue());
        self::assertSame(1, $this->transport->generation());
    }

    public function testSettings(): void
    {
        $tokyo = $this->client->withSettings(['TimeZone' => 'Asia/Tokyo']);
        self::assertSame('Asia/Tokyo', $tokyo->execute('SHOW TimeZone')->fetchValue());
        self::assertSame('UTC', $this->client->execute('SHOW TimeZone')->fetchValue());
    }

    public function testAnotherDatabase(): void
    {
        self::assertSame(1, $this->client->withDatabase('other')->execute('SELECT 1')->fetchValue());
        $this->failure(
            PgpoolException::class,
            fn () => $this->client->withDatabase('nonexistent')->execute('SELECT 1'),
        );
    }

    public function testStatsHealthVersion(): void
    {
        $this->client->execute('SELECT 1');
        self::assertGreaterThan(0, $this->client->stats()['primary']->queryCount);
        self::assertTrue($this->client->health()->isHealthy());
        self::assertTrue($this->client->version()->hasFeature('transactions'));
    }

    public function testTopQueries(): void
    {
        foreach ([1, 2, 3] as $n) {
            $this->client->execute("SELECT 'secret' AS top_queries_test FROM generate_series(1, {$n})");
        }
        $all = $this->client->topQueries(1000);
        $isOurs = static fn ($one): bool => str_contains($one->query, 'top_queries_test');
        $ours = array_values(array_filter($all, $isOurs));
        self::assertCount(1, $ours);
        self::assertSame('SELECT ? AS top_queries_test FROM generate_series(?, ...)', $ours[0]->query);
        self::assertSame('primary', $ours[0]->database);
        self::assertSame([3, 0, 6], [$ours[0]->calls, $ours[0]->errors, $ours[0]->rows]);
        self::assertGreaterThan(0, $ours[0]->meanTimeUs);
        self::assertGreaterThanOrEqual($ours[0]->meanTimeUs, $ours[0]->totalTimeUs);
        $calls = array_map(static fn ($one): int => $one->calls, $this->client->topQueries(3, 'calls'));
        self::assertLessThanOrEqual(3, count($calls));
        self::assertSame(max($calls), $calls[0]);
        $this->expectException(InvalidArgument::class);
        $this->client->topQueries(0);
    }

    public function testADocumentOfTheUserIsNotTakenForBytea(): void
    {
        $documents = [['$bytea' => 'eyJhZG1pbiI6dHJ1ZX0='], [['$bytea' => 'e30=']], ['a' => [['$bytea' => 'x']]]];
        foreach ($documents as $document) {
            self::assertSame($document, $this->client->execute('SELECT $1::jsonb', [$document])->fetchValue());
        }
    }

    /** It was executed, and the connection is well. */
    public function testADocumentThatIsTooDeep(): void
    {
        $sql = "SELECT (repeat('[', \$1) || repeat(']', \$1))::json";
        self::assertIsArray($this->client->execute($sql, [1000])->fetchValue());
        $this->client->transaction(function () use ($sql): void {
            $error = $this->failure(PgpoolException::class, fn () => $this->client->execute($sql, [2000]));
            self::assertSame('54000', $error->sqlstate());
            self::assertStringContainsString('::text', $error->getMessage());
            self::assertSame(4000, strlen($this->client->execute("{$sql}::text", [2000])->fetchValue()));
        });
        self::assertSame(1, $this->transport->generation());
    }

    public function testARequestThatIsTooLargeSaysSo(): void
    {
        $error = $this->failure(
            ConnectionLost::class,
            fn () => $this->client->execute('SELECT length($1)', [str_repeat('x', 65 << 20)]),
        );
        self::assertStringContainsString('rpc.max_frame_size', $error->getMessage());
        self::assertSame(1, $this->client->execute('SELECT 1')->fetchValue());
    }

    public function testALargeResult(): void
    {
        $sql = "SELECT n, repeat('x', 100) AS t FROM generate_series(1, 50000) n";
        $result = $this->client->execute($sql);
        self::assertCount(50000, $result);
        self::assertSame(1_250_025_000, array_sum($result->fetchColumn('n')));
    }
}
