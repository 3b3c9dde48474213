<?php

declare(strict_types=1);

namespace RrPgpool\Tests;

use PHPUnit\Framework\TestCase;
use RrPgpool\Example\GoridgeClient;

/**
 * What the test cases share: a connection, and words for expectations about replies.
 */
abstract class PgpoolTestCase extends TestCase
{
    protected GoridgeClient $client;

    protected function setUp(): void
    {
        $this->client = $this->connect();
    }

    protected function tearDown(): void
    {
        $this->client->close();
    }

    protected function connect(int $codec = GoridgeClient::JSON): GoridgeClient
    {
        return new GoridgeClient(Servers::address(), $codec, 30.0);
    }

    /** @return array<string, array{int}> */
    public static function codecs(): array
    {
        return ['JSON' => [GoridgeClient::JSON], 'MessagePack' => [GoridgeClient::MSGPACK]];
    }

    /**
     * @param list<mixed> $args
     * @param array<string, mixed> $options
     * @return array<string, mixed> the reply, which is no error
     */
    protected function execute(string $query, array $args = [], array $options = []): array
    {
        return $this->succeed($this->client->execute($query, $args, $options));
    }

    /**
     * @param list<mixed> $args
     * @param array<string, mixed> $options
     * @return mixed the first column of the only row
     */
    protected function value(string $query, array $args = [], array $options = []): mixed
    {
        $rows = $this->execute($query, $args, ['result' => 'rows'] + $options)['rows'];
        self::assertCount(1, $rows);

        return $rows[0][0];
    }

    /**
     * @param array<string, mixed> $reply
     * @return array<string, mixed> the same
     */
    protected function succeed(array $reply): array
    {
        self::assertArrayNotHasKey('error', $reply, (string) json_encode($reply));
        self::assertArrayNotHasKey('sqlstate', $reply);

        return $reply;
    }

    /** @param array<string, mixed> $reply */
    protected function assertFailed(string $sqlstate, string $text, array $reply): void
    {
        self::assertArrayHasKey('error', $reply, (string) json_encode($reply));
        self::assertSame($sqlstate, $reply['sqlstate'], $reply['error']);
        self::assertStringContainsString($text, $reply['error']);
    }

    /** A table name that no other test uses. */
    protected function tableName(): string
    {
        return 'php_' . bin2hex(random_bytes(6));
    }
}
