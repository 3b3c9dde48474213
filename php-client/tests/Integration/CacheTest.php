<?php

declare(strict_types=1);

namespace RrPgpool\Tests\Integration;

use RrPgpool\Client;
use RrPgpool\Transport\GoridgeCodec;

/**
 * Answers from the server's memory, over each transport.
 */
final class CacheTest extends TransportTestCase
{
    /** @dataProvider transports */
    public function testAReadIsAnsweredFromMemory(?GoridgeCodec $codec): void
    {
        $client = $this->over($codec);
        $sql = 'SELECT current_setting($1) AS a, 7 AS b';
        $args = ['application_name'];
        $cached = $client->withSettings(['application_name' => bin2hex(random_bytes(8))])->withCache();

        $first = $this->untilCached($cached, $sql, $args);

        self::assertSame($first, $cached->execute($sql, $args)->fetchAll());
        self::assertTrue($cached->execute($sql, $args)->isFromCache());
        self::assertFalse($cached->withCache(0)->execute($sql, $args)->isFromCache());
        self::assertFalse($cached->withCache(60000)->execute($sql, $args)->isFromCache());
        self::assertTrue($cached->withCache(60000)->execute($sql, $args)->isFromCache());
        self::assertFalse($client->execute($sql, $args)->isFromCache());
    }

    /** @dataProvider transports */
    public function testACommentAsksForIt(?GoridgeCodec $codec): void
    {
        $sql = '/* pgpool:cache */ SELECT ' . random_int(1, PHP_INT_MAX) . ' AS a';

        self::assertCount(1, $this->untilCached($this->over($codec), $sql));
    }

    public function testBatchesStreamsAndTransactionsAreExecuted(): void
    {
        $client = $this->client->withCache();

        $client->transaction(static function (Client $client): void {
            for ($i = 0; $i < 3; $i++) {
                self::assertFalse($client->execute('SELECT 1 AS a')->isFromCache());
            }
        });
        self::assertSame([['a' => 1]], iterator_to_array($client->stream('SELECT 1 AS a'), false));
        self::assertFalse($client->batch()->add('SELECT 1 AS a')->run()[0]->isFromCache());
    }

    /**
     * The server keeps nothing before it has found out that nothing volatile is called.
     *
     * @param list<mixed> $args
     * @return list<array<string, mixed>>
     */
    private function untilCached(Client $client, string $sql, array $args = []): array
    {
        $until = microtime(true) + 20;
        do {
            $result = $client->execute($sql, $args);
        } while (!$result->isFromCache() && microtime(true) < $until);
        self::assertTrue($result->isFromCache());

        return $result->fetchAll();
    }
}
