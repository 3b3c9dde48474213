<?php

declare(strict_types=1);

namespace RrPgpool\Tests\Integration;

use PDO;
use RrPgpool\Bytea;
use RrPgpool\Client;
use RrPgpool\ClientInterface;
use RrPgpool\Exception\InvalidArgument;
use RrPgpool\Exception\OutcomeUnknown;
use RrPgpool\Exception\PgpoolException;
use RrPgpool\Exception\ProtocolException;
use RrPgpool\Exception\QueryTimeout;
use RrPgpool\Exception\TransactionEnded;
use RrPgpool\Exception\UniqueViolation;
use RrPgpool\IsolationLevel;
use RrPgpool\Pdo\PgpoolPdo;
use RrPgpool\Tests\Servers;
use RrPgpool\TopQuery;
use RrPgpool\TransactionOptions;
use RrPgpool\Transport\GoridgeCodec;

/**
 * GoridgeTransport against the real server with each codec: whatever it does, it does as
 * StreamTransport does.
 */
final class GoridgeCodecTest extends TransportTestCase
{
    /** @dataProvider codecs */
    public function testResults(GoridgeCodec $codec): void
    {
        $this->client->execute("DO $$ BEGIN CREATE TYPE codec_mood AS ENUM ('sad', 'NULL'); "
            . 'EXCEPTION WHEN duplicate_object THEN NULL; END $$');
        $expressions = [
            'true', '1::int2', "'-2147483648'::int4", '9223372036854775807::int8', '4294967295::oid', '1.5::float8',
            '0.1::float4', '2.0::float8', "'NaN'::float8", "'-Infinity'::float4", '12.50::numeric', "'äöü €'::text",
            "''::text", "'\\x00ff'::bytea", "'2030-01-02 03:04:05.678+00'::timestamptz", 'NULL::int', 'NULL::int[]',
            '\'{"b":[1,{"a":null}],"c":123456789012345678901234567890,"":{}}\'::json', "'null'::jsonb", "'[]'::jsonb",
            "'{}'::json", '\'[{}, {"a": {}}]\'::jsonb', "ARRAY['{}']::json[]", "'{a,NULL,\"b c\"}'::cstring[]",
            "'\"text\"'::jsonb", "'1.0'::json", 'ARRAY[1,NULL,-3]', "'{}'::int[]", "'[0:1][-1:0]={{1,2},{3,4}}'::int[]",
            'ARRAY[true,false,NULL]', "ARRAY[1.5,'NaN','Infinity']::float8[]", 'ARRAY[1.50,2]::numeric[]',
            "ARRAY['a,b', 'c\"d', E'e\\\\f', '{}', '', 'NULL', NULL, 'x y', E'new\\nline', 'ä']",
            "ARRAY['{\"a\": [1, \"x\\\"y\"]}', '[]', NULL]::jsonb[]", "ARRAY['\\x00', '\\xff']::bytea[]",
            "ARRAY['(1,1),(0,0)', '(2,2),(1,1)']::box[]", "'1 2 3'::int2vector", "ARRAY['1 2'::int2vector]",
            "ARRAY['sad', 'NULL']::codec_mood[]", "ARRAY[ROW(1, 'a \"b\"')]", "ARRAY['[1,3)']::int4range[]",
            "ARRAY[9223372036854775807]", "ARRAY['2030-01-02']::date[]", "repeat('x', 200000)",
            "ARRAY[repeat(E'\\\\\"', 300000), NULL]",
        ];
        $list = [];
        foreach ($expressions as $index => $expression) {
            $list[] = "{$expression} AS c{$index}";
        }
        $sql = 'SELECT ' . implode(', ', $list);
        $expected = $this->client->execute($sql);
        $actual = $this->goridge($codec)->execute($sql);

        self::assertSame($expected->fetchAll(), $actual->fetchAll());
        self::assertEquals($expected->columns(), $actual->columns());
        self::assertSame($expected->rowsAffected(), $actual->rowsAffected());
        self::assertGreaterThan(0, $actual->executionTimeUs());
        self::assertSame([], $this->goridge($codec)->execute('SELECT 1 AS a WHERE false')->fetchAll());
        self::assertSame('a', $this->goridge($codec)->execute('SELECT 1 AS a WHERE false')->columns()[0]->name);
    }

    /** What README says of domains; and a type of the user's own that has the name of a built-in one. */
    public function testArraysOfTypesOfTheUser(): void
    {
        $this->client->execute('CREATE SCHEMA IF NOT EXISTS codec');
        $this->client->execute("DO $$ BEGIN CREATE TYPE codec.int4 AS ENUM ('1', '02'); "
            . 'CREATE DOMAIN codec.positive AS int4; EXCEPTION WHEN duplicate_object THEN NULL; END $$');
        $sql = "SELECT ARRAY['02', '1']::codec.int4[] AS enum, ARRAY[1, 2]::codec.positive[] AS domain";
        foreach (self::codecs() as [$codec]) {
            $domain = $codec === GoridgeCodec::Protobuf ? ['1', '2'] : [1, 2];
            self::assertSame(
                [['enum' => ['02', '1'], 'domain' => $domain]],
                $this->goridge($codec)->execute($sql)->fetchAll(),
            );
        }
    }

    /** @dataProvider codecs */
    public function testArguments(GoridgeCodec $codec): void
    {
        $sql = 'SELECT $1::int, $2::float8, $3::bool, $4::text, $5::bytea, $6::int[], $7::jsonb, $8::jsonb, '
            . '$9::text[], $10::jsonb, $11::float8, $12::bytea[], $13::jsonb, $14::int8, $15::jsonb, $16::float8';
        $args = [
            null, 1.5, false, 'straße', new Bytea("\0\xff"), [1, null, 3], ['a' => [1, 2.5, null, true], 'b' => []],
            new \stdClass(), [['a', 'b'], ['c', 'd']], [[], ['x' => []]], INF, [new Bytea("\xfe"), null],
            (object) ['1' => 'a', '2' => ['0' => 'x']], PHP_INT_MIN, [3 => 'gap'], 2.0,
        ];

        self::assertSame(
            $this->client->execute($sql, $args)->fetchAll(),
            $this->goridge($codec)->execute($sql, $args)->fetchAll(),
        );
    }

    /** @dataProvider codecs */
    public function testErrors(GoridgeCodec $codec): void
    {
        $table = $this->table();
        $client = $this->goridge($codec);
        $client->execute("INSERT INTO {$table} VALUES (1, 'a')");
        $statements = [
            "INSERT INTO {$table} VALUES (1, 'b')", 'SELECT nothing', 'SELEC', 'BEGIN', "SELECT 'x'::int", 'LISTEN a',
        ];
        foreach ($statements as $sql) {
            self::assertEquals($this->described($this->client, $sql), $this->described($client, $sql));
        }
        try {
            $client->withTimeout(50)->execute('SELECT pg_sleep(20)');
            self::fail('no timeout');
        } catch (QueryTimeout $error) {
            self::assertSame('57014', $error->sqlstate());
        }
        try {
            self::goridgeTransport($codec)->call('Nonsense', [], 5.0);
            self::fail('no error');
        } catch (ProtocolException $error) {
            self::assertStringContainsString('Nonsense', $error->getMessage());
        }
    }

    /** @dataProvider codecs */
    public function testTransactionsAndSessions(GoridgeCodec $codec): void
    {
        $table = $this->table();
        $client = $this->goridge($codec);
        $level = $client->transaction(
            function (ClientInterface $client) use ($table): string {
                $client->execute("INSERT INTO {$table} VALUES (1, 'kept')");
                try {
                    $client->transaction(static function (ClientInterface $client) use ($table): void {
                        $client->execute("INSERT INTO {$table} VALUES (1, 'twice')");
                    });
                    self::fail('no violation');
                } catch (UniqueViolation) {
                    // It was a savepoint.
                }
                self::assertSame('42', $client->execute("SELECT current_setting('app.id')")->fetchValue());

                return $client->execute('SHOW transaction_isolation')->fetchValue();
            },
            new TransactionOptions(IsolationLevel::Serializable, settings: ['app.id' => 42]),
        );
        self::assertSame('serializable', $level);
        self::assertSame([1 => 'kept'], $client->execute("SELECT id, name FROM {$table}")->fetchKeyPair());

        $sum = $client->session(static function (ClientInterface $client): int {
            $client->execute('CREATE TEMPORARY TABLE codec_basket (n int)');
            $client->execute('INSERT INTO codec_basket VALUES (1), (2)');

            return $client->execute('SELECT sum(n) FROM codec_basket')->fetchValue();
        }, ['synchronous_commit' => false]);
        self::assertSame(3, $sum);
        $zone = $client->withSettings(['TimeZone' => 'Asia/Tokyo'])->execute('SHOW TimeZone')->fetchValue();
        self::assertSame('Asia/Tokyo', $zone);

        $client->begin();
        $transport = self::goridgeTransport($codec);
        $other = new Client($transport);
        $other->begin();
        $transport->close();
        $client->rollback();
        $this->expectException(TransactionEnded::class);
        $other->execute('SELECT 1');
    }

    /** @dataProvider codecs */
    public function testBatches(GoridgeCodec $codec): void
    {
        $table = $this->table();
        $client = $this->goridge($codec);
        $results = $client->batch()
            ->add("INSERT INTO {$table} VALUES (\$1, \$2) RETURNING id", [1, 'a'])
            ->add("INSERT INTO {$table} VALUES (1, 'b')")
            ->add("SELECT ARRAY[1, 2] AS list, '\\x41'::bytea AS bytes")
            ->run();
        self::assertSame(1, $results[0]->fetchValue());
        self::assertInstanceOf(UniqueViolation::class, $results[1]);
        self::assertSame([['list' => [1, 2], 'bytes' => 'A']], $results[2]->fetchAll());
        try {
            $client->batch()
                ->add("INSERT INTO {$table} VALUES (2, 'x')")
                ->add("INSERT INTO {$table} VALUES (1, 'y')")
                ->runAtomic();
            self::fail('no violation');
        } catch (UniqueViolation $error) {
            self::assertSame(1, $error->statement());
            self::assertSame("INSERT INTO {$table} VALUES (1, 'y')", $error->query());
        }
        self::assertSame(1, $client->execute("SELECT count(*) FROM {$table}")->fetchValue());
    }

    /** @dataProvider codecs */
    public function testStreams(GoridgeCodec $codec): void
    {
        $sql = 'SELECT n, ARRAY[n, NULL] AS list, json_build_object(\'n\', n) AS document, '
            . "decode('4' || n % 10, 'hex') AS bytes FROM generate_series(1, \$1::int) n";
        self::assertSame(
            [...$this->client->stream($sql, [25], chunk: 10)],
            [...$this->goridge($codec)->stream($sql, [25], chunk: 10)],
        );
    }

    /** @dataProvider codecs */
    public function testObservation(GoridgeCodec $codec): void
    {
        $client = $this->goridge($codec);
        self::assertEquals($this->client->version(), $client->version());
        self::assertEquals($this->client->health(), $client->health());
        self::assertTrue($client->health()->isHealthy('primary'));
        $stats = $client->stats();
        self::assertSame(array_keys($this->client->stats()), array_keys($stats));
        self::assertSame(10, $stats['primary']->maxConnections);
        self::assertGreaterThan(0, $stats['primary']->queryCount);
        $client->execute("SELECT 'observed', 1");
        $shapes = array_map(static fn (TopQuery $query): string => $query->query, $client->topQueries(1000, 'calls'));
        self::assertContains('SELECT ?, ...', $shapes);
    }

    /** @dataProvider codecs */
    public function testThePdoFacadeGetsText(GoridgeCodec $codec): void
    {
        $sql = "SELECT '\\x41'::bytea AS b, ARRAY['\\x42']::bytea[] AS bs, ARRAY[1, 2] AS l, '{\"a\": 1}'::jsonb AS j";
        $row = (new PgpoolPdo(self::goridgeTransport($codec)))->query($sql)->fetch(PDO::FETCH_ASSOC);
        self::assertSame('A', stream_get_contents($row['b']));
        unset($row['b']);
        self::assertSame(['bs' => '{"\\\\x42"}', 'l' => '{1,2}', 'j' => '{"a": 1}'], $row);
    }

    /** @dataProvider codecs */
    public function testWhatCannotBeWrittenEndsNoTransaction(GoridgeCodec $codec): void
    {
        $client = $this->goridge($codec);
        $client->begin();
        try {
            $client->execute("SELECT '\xff'");
            self::fail('no exception');
        } catch (InvalidArgument $error) {
            self::assertSame('22021', $error->sqlstate());
        } catch (PgpoolException $error) {
            // MessagePack can write it.
            self::assertSame(GoridgeCodec::Msgpack, $codec, $error->getMessage());
            self::assertNotInstanceOf(OutcomeUnknown::class, $error);
        }
        $client->rollback();
        $client->begin();
        self::assertSame(1, $client->execute('SELECT 1')->fetchValue());
        $client->rollback();
    }

    private function goridge(GoridgeCodec $codec): Client
    {
        return new Client(self::goridgeTransport($codec));
    }

    /** @return array<mixed> the error that a statement ends in */
    private function described(ClientInterface $client, string $sql): array
    {
        try {
            $client->execute($sql);
        } catch (PgpoolException $error) {
            return [
                $error::class, $error->getMessage(), $error->sqlstate(), $error->severity(), $error->detail(),
                $error->hint(), $error->constraint(), $error->table(), $error->position(), $error->query(),
            ];
        }
        self::fail("{$sql} has not failed");
    }
}
