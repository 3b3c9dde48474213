<?php

declare(strict_types=1);

namespace RrPgpool\Tests\RoadRunner;

use RrPgpool\ClientInterface;
use RuntimeException;

/** What the tests' requests do: SQL through the pool. */
final class Application
{
    public function __construct(private readonly ClientInterface $client)
    {
    }

    /** Answers a request; what it leaves open is rolled back afterwards. */
    public function handle(string $uri): string
    {
        $parts = (array) parse_url($uri);
        parse_str($parts['query'] ?? '', $query);
        $id = (string) ($query['id'] ?? '');
        try {
            return match ($parts['path'] ?? '/') {
                '/' => (string) $this->client->execute('SELECT 40 + $1::int', [2])->fetchValue(),
                '/slow' => $this->slow($id),
                '/transfer' => $this->client->transaction(fn (ClientInterface $tx): string => self::transfer($tx, $id)),
                default => throw new RuntimeException("no such path: {$uri}"),
            };
        } finally {
            $this->client->reset();
        }
    }

    private function slow(string $id): string
    {
        return (string) $this->client->execute('SELECT $1::text FROM pg_sleep(1)', [$id])->fetchValue();
    }

    private static function transfer(ClientInterface $tx, string $id): string
    {
        $tx->execute('INSERT INTO transfers VALUES ($1)', [$id]);
        $tx->execute('SELECT pg_sleep(0.5)');
        return 'done';
    }
}
