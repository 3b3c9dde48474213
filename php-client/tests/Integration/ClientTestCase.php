<?php

declare(strict_types=1);

namespace RrPgpool\Tests\Integration;

use Google\Protobuf\Internal\Message;
use PHPUnit\Framework\TestCase;
use RrPgpool\Client;
use RrPgpool\Tests\Goridge\SocketRpc;
use RrPgpool\Tests\Servers;
use RrPgpool\Transport\GoridgeCodec;
use RrPgpool\Transport\GoridgeTransport;
use RrPgpool\Transport\StreamTransport;
use Throwable;

/**
 * A client of the server under test, with a transport of its own for each test.
 */
abstract class ClientTestCase extends TestCase
{
    protected StreamTransport $transport;
    protected Client $client;

    protected function setUp(): void
    {
        $this->transport = new StreamTransport(Servers::address());
        $this->client = new Client($this->transport);
    }

    protected function tearDown(): void
    {
        $this->client->reset();
        $this->transport->close();
    }

    /** Another client, with a connection of its own. */
    protected function another(): Client
    {
        return Client::create(Servers::address());
    }

    /** A transport of goridge to the server under test, where what its codec needs is installed. */
    protected static function goridgeTransport(GoridgeCodec $codec): GoridgeTransport
    {
        if ($codec === GoridgeCodec::Msgpack && !extension_loaded('msgpack')) {
            self::markTestSkipped('ext-msgpack is not installed');
        }
        if ($codec === GoridgeCodec::Protobuf && !class_exists(Message::class)) {
            self::markTestSkipped('google/protobuf is not installed (on Debian: php-google-protobuf)');
        }

        return new GoridgeTransport(static fn () => new SocketRpc(Servers::address(), $codec), $codec);
    }

    /** A client over the transport of the test, or over goridge's with this codec. */
    protected function over(?GoridgeCodec $codec, string $database = 'primary'): Client
    {
        return new Client($codec === null ? $this->transport : self::goridgeTransport($codec), $database);
    }

    /** Makes a table that no other test uses; it goes with the throw-away server. */
    protected function table(string $columns = 'id int PRIMARY KEY, name text'): string
    {
        $table = 'client_' . bin2hex(random_bytes(6));
        $this->client->execute("CREATE TABLE {$table} ({$columns})");

        return $table;
    }

    /**
     * @template T of Throwable
     * @param class-string<T> $class
     * @return T
     */
    protected function failure(string $class, callable $work): Throwable
    {
        try {
            $work();
        } catch (Throwable $error) {
            self::assertSame($class, $error::class, $error->getMessage());

            return $error;
        }
        self::fail("no {$class}");
    }
}
