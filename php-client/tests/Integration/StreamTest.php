<?php

declare(strict_types=1);

namespace RrPgpool\Tests\Integration;

use RrPgpool\ClientInterface;
use RrPgpool\Exception\ConnectionLost;
use RrPgpool\Exception\DataError;
use RrPgpool\Exception\InvalidArgument;
use RrPgpool\Exception\PgpoolException;

final class StreamTest extends ClientTestCase
{
    protected function setUp(): void
    {
        parent::setUp();
        if (!$this->client->version()->hasFeature('cursors')) {
            self::markTestSkipped('the server has no cursors');
        }
    }

    public function testALargeResultNeedsLittleMemory(): void
    {
        $rows = $this->client->stream("SELECT n, repeat('x', 200) AS t FROM generate_series(1, \$1) n", [100_000], 500);
        $sum = 0;
        $before = memory_get_usage();
        $most = 0;
        foreach ($rows as $number => $row) {
            $sum += $row['n'];
            if ($number % 1000 === 0) {
                $most = max($most, memory_get_usage() - $before);
            }
        }
        self::assertSame(5_000_050_000, $sum);
        self::assertLessThan(2 << 20, $most);
        self::assertSame(0, $this->client->stats()['primary']->transactionsOpen);
    }

    public function testOtherStatementsMeanwhile(): void
    {
        $seen = [];
        foreach ($this->client->stream('SELECT n FROM generate_series(1, 5) n', [], 2) as $row) {
            $seen[] = $this->client->execute('SELECT $1::int * 2', [$row['n']])->fetchValue();
        }
        self::assertSame([2, 4, 6, 8, 10], $seen);
    }

    public function testABreakEndsIt(): void
    {
        foreach ($this->client->stream('SELECT n FROM generate_series(1, 5000) n') as $row) {
            break;
        }
        self::assertSame(1, $row['n']);
        self::assertSame(0, $this->client->stats()['primary']->transactionsOpen);
    }

    public function testInsideATransaction(): void
    {
        $table = $this->table();
        $tokyo = $this->client->withSettings(['TimeZone' => 'Asia/Tokyo']);
        $tokyo->transaction(static function (ClientInterface $client) use ($table): void {
            $client->execute("INSERT INTO {$table} SELECT n FROM generate_series(1, 5) n");
            $rows = [...$client->stream("SELECT id, current_setting('TimeZone') AS zone FROM {$table} ORDER BY id")];
            self::assertSame([1, 2, 3, 4, 5], array_column($rows, 'id'));
            self::assertSame('Asia/Tokyo', $rows[0]['zone']);
        });
    }

    /** @dataProvider impossibleChunks */
    public function testAnImpossibleChunk(int $chunk): void
    {
        $this->failure(InvalidArgument::class, fn () => $this->client->stream('SELECT 1', [], $chunk));
        self::assertSame(0, $this->client->stats()['primary']->transactionsOpen);
    }

    /** @return array<string, array{int}> */
    public static function impossibleChunks(): array
    {
        return ['none' => [0], 'negative' => [-1], 'too many' => [1_000_001]];
    }

    public function testAResetClosesIt(): void
    {
        $rows = $this->client->stream('SELECT n FROM generate_series(1, 5000) n', [], 10);
        $rows->current();
        self::assertSame(1, $this->client->stats()['primary']->transactionsOpen);
        $this->client->reset();
        self::assertSame(0, $this->client->stats()['primary']->transactionsOpen);
        $this->failure(ConnectionLost::class, static fn () => [...$rows]);
    }

    public function testAFetchThatFailsHereClosesItThere(): void
    {
        $sql = "SELECT CASE n WHEN 15 THEN repeat('[', 2000) || repeat(']', 2000) ELSE '[]' END::json "
            . 'FROM generate_series(1, 30) n';
        $error = $this->failure(PgpoolException::class, fn () => [...$this->client->stream($sql, [], 10)]);
        self::assertSame('54000', $error->sqlstate());
        self::assertSame(0, $this->client->stats()['primary']->transactionsOpen);
    }

    public function testByteaAndErrors(): void
    {
        $rows = [...$this->client->stream("SELECT '\\x00ff'::bytea AS b")];
        self::assertSame("\0\xff", $rows[0]['b']);
        $this->failure(
            DataError::class,
            fn () => [...$this->client->stream('SELECT 1 / (3 - n) FROM generate_series(1, 5) n', [], 2)],
        );
    }
}
