<?php

declare(strict_types=1);

namespace RrPgpool\Tests\Unit;

use PHPUnit\Framework\TestCase;
use RrPgpool\Client;
use RrPgpool\Exception\ConnectionLost;
use RrPgpool\Exception\OutcomeUnknown;
use RrPgpool\Exception\ProtocolException;
use RrPgpool\Exception\TransactionEnded;
use RrPgpool\Tests\Goridge\FakeRpc;
use RrPgpool\Tests\Goridge\RelayException;
use RrPgpool\Tests\Goridge\ServiceException;
use RrPgpool\Transport\GoridgeCodec;
use RrPgpool\Transport\GoridgeTransport;
use RuntimeException;

final class GoridgeTransportTest extends TestCase
{
    private int $connects = 0;

    public function testACall(): void
    {
        $rpc = new FakeRpc(['rows_affected' => 1]);
        $transport = new GoridgeTransport(fn () => $rpc);

        self::assertSame(['rows_affected' => 1], $transport->call('Execute', ['query' => 'SELECT 1'], 5.0));
        self::assertSame('pgpool', $rpc->prefix);
        self::assertSame('Execute', $rpc->calls[0][0]);
        self::assertSame('SELECT 1', $rpc->calls[0][1]['query']);
        self::assertSame(JSON_BIGINT_AS_STRING, $rpc->calls[0][2]);
    }

    /**
     * @dataProvider failures
     * @param class-string<\Throwable> $class
     */
    public function testAnyFailureEndsTheObject(string $class, mixed $reply): void
    {
        $transport = new GoridgeTransport(function () use ($reply): FakeRpc {
            return ++$this->connects === 1 ? new FakeRpc($reply) : new FakeRpc(['n' => $this->connects]);
        });
        try {
            $transport->call('Execute', [], 5.0);
            self::fail('no exception');
        } catch (\Throwable $error) {
            self::assertSame($class, $error::class);
            self::assertDoesNotMatchRegularExpression(
                $error instanceof OutcomeUnknown ? '/connection|0800|broken pipe/i' : '/^$/',
                $error->getMessage(),
            );
        }
        self::assertSame(2, $transport->generation());
        self::assertSame(['n' => 2], $transport->call('Execute', [], 5.0));
    }

    /** @return array<string, array{class-string<\Throwable>, mixed}> */
    public static function failures(): array
    {
        return [
            'connecting' => [
                ConnectionLost::class,
                new RelayException('Unable to establish connection tcp://127.0.0.1:6002'),
            ],
            'reading' => [OutcomeUnknown::class, new RelayException('connection reset')],
            'a signal handler' => [RuntimeException::class, new RuntimeException('interrupted')],
            'the answer to another request' => [OutcomeUnknown::class, ['request_id' => 'x']],
            'nothing' => [OutcomeUnknown::class, 'null'],
        ];
    }

    public function testAnErrorFrameIsAnAnswer(): void
    {
        $transport = new GoridgeTransport(function (): FakeRpc {
            ++$this->connects;

            return new FakeRpc(new ServiceException("Error 'unknown field' on tcp://"), ['ok' => 1]);
        });
        try {
            $transport->call('Execute', [], 5.0);
            self::fail('no exception');
        } catch (ProtocolException $error) {
            self::assertStringContainsString('unknown field', $error->getMessage());
        }
        self::assertSame(['ok' => 1], $transport->call('Execute', [], 5.0));
        self::assertSame(1, $this->connects);
    }

    public function testAFactoryThatFails(): void
    {
        $transport = new GoridgeTransport(static fn () => throw new RuntimeException('no socket'));
        $this->expectException(ConnectionLost::class);
        $transport->call('Execute', [], 5.0);
    }

    public function testATransactionEndsWithTheObject(): void
    {
        $client = new Client(new GoridgeTransport(static fn () => new FakeRpc(
            ['tx_id' => 'a'],
            new RelayException('reset'),
        )));
        $client->begin();
        try {
            $client->execute('UPDATE');
            self::fail('no exception');
        } catch (OutcomeUnknown) {
            $this->expectException(TransactionEnded::class);
            $client->execute('UPDATE');
        }
    }

    public function testMessagePackHasByteaAsItIs(): void
    {
        $columns = [['name' => 'b', 'type' => 'bytea', 'oid' => 17], ['name' => 't', 'type' => 'text', 'oid' => 25]];
        $rpc = new FakeRpc(
            ['columns' => $columns, 'rows' => [['\x41', '\x41'], [null, null]]],
            ['results' => [['columns' => $columns, 'rows' => [["\xff", 'a']]]]],
            ['cursor_id' => 'c', 'columns' => $columns],
            ['rows' => [['\x42', '\x42']], 'done' => true],
        );
        $client = new Client(new GoridgeTransport(static fn () => $rpc, codec: GoridgeCodec::Msgpack));

        self::assertSame(
            [['b' => '\x41', 't' => '\x41'], ['b' => null, 't' => null]],
            $client->execute('SELECT')->fetchAll(),
        );
        self::assertSame("\xff", $client->batch()->add('SELECT')->run()[0]->fetchValue());
        self::assertSame([['b' => '\x42', 't' => '\x42']], [...$client->stream('SELECT')]);
        self::assertNull($rpc->calls[0][2], 'the option is of the JSON codec');
    }
}
