<?php

declare(strict_types=1);

namespace RrPgpool\Tests;

use PHPUnit\Framework\Attributes\DataProvider;
use RrPgpool\Example\GoridgeClient;
use RrPgpool\Example\GoridgeException;

final class ConnectionTest extends PgpoolTestCase
{
    /** @dataProvider addresses */
    #[DataProvider('addresses')]
    public function testAnswersOnTcpAndUnixSockets(string $listener, int $codec): void
    {
        $address = $listener === 'tcp' ? Servers::tcp() : Servers::unix();
        $client = new GoridgeClient($address, $codec, 30.0);
        self::assertSame([['n' => 7]], $client->execute('SELECT $1::int AS n', [7])['rows']);
        $client->close();
    }

    /** @return array<string, array{string, int}> */
    public static function addresses(): array
    {
        return [
            'TCP, JSON' => ['tcp', GoridgeClient::JSON],
            'TCP, MessagePack' => ['tcp', GoridgeClient::MSGPACK],
            'Unix socket, JSON' => ['unix', GoridgeClient::JSON],
            'Unix socket, MessagePack' => ['unix', GoridgeClient::MSGPACK],
        ];
    }

    /** @dataProvider wrongMethods */
    #[DataProvider('wrongMethods')]
    public function testSaysWhatIsWrongWithAMethodAndKeepsTheConnection(string $method, string $text): void
    {
        try {
            $this->client->call($method);
            self::fail('the call was answered');
        } catch (GoridgeException $error) {
            self::assertSame($text, $error->getMessage());
        }
        self::assertSame(1, $this->value('SELECT 1'));
    }

    /** @return array<string, array{string, string}> */
    public static function wrongMethods(): array
    {
        return [
            'unknown method' => ['pgpool.Nope', "rpc: can't find method pgpool.Nope"],
            'unknown service' => ['nope.Execute', "rpc: can't find service nope.Execute"],
            'no dot' => ['Execute', 'rpc: service/method request ill-formed: Execute'],
        ];
    }

    public function testRefusesFieldsThatItDoesNotKnow(): void
    {
        try {
            $reply = $this->client->execute('SELECT 1', [], ['txid_' => 'misspelt', 'tx_idd' => 'x']);
            $text = $reply['error'] ?? '';
        } catch (GoridgeException $error) {
            $text = $error->getMessage();
        }
        self::assertStringContainsString('tx_idd', $text);
        self::assertSame(1, $this->value('SELECT 1'));
    }

    public function testTakesGoFieldNames(): void
    {
        $reply = $this->client->call(
            'pgpool.Execute',
            ['Database' => 'primary', 'Query' => 'SELECT $1::int AS n', 'Args' => [5]],
        );
        self::assertSame([['n' => 5]], $this->succeed($reply)['rows']);
    }

    /** @dataProvider codecs */
    #[DataProvider('codecs')]
    public function testCallsWithoutFieldsUseTheDefaults(int $codec): void
    {
        $reply = $this->connect($codec)->call('pgpool.HealthCheck');
        self::assertSame(['primary' => true], $reply['health']);
    }

    public function testEchoesTheRequestIdOfSuccessAndFailure(): void
    {
        $options = ['request_id' => 'r-1'];
        self::assertSame('r-1', $this->client->execute('SELECT 1', [], $options)['request_id']);
        self::assertSame('r-1', $this->client->execute('SELECT nope', [], $options)['request_id']);
        foreach (['Version', 'HealthCheck', 'PoolStats'] as $method) {
            self::assertSame('r-1', $this->client->call("pgpool.{$method}", $options)['request_id']);
        }
    }
}
