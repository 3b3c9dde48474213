<?php

declare(strict_types=1);

namespace RrPgpool\Tests\Integration;

use Illuminate\Database\Connectors\ConnectorInterface;
use RrPgpool\Bridge\Laravel\PgpoolConnector;
use RrPgpool\Client;
use RrPgpool\Exception\PgpoolException;
use RrPgpool\Pdo\PgpoolPdo;
use RrPgpool\Route;
use RrPgpool\Tests\Servers;
use RrPgpool\TransactionOptions;
use RrPgpool\Transport\GoridgeCodec;
use RrPgpool\Transport\StreamTransport;

/**
 * Which server of a database with a replica executes what, over each transport.
 */
final class RouteTest extends TransportTestCase
{
    private const WHERE = 'SELECT pg_is_in_recovery() AS replica';

    /** @dataProvider transports */
    public function testStatements(?GoridgeCodec $codec): void
    {
        $client = $this->replicated($codec);
        $ask = static fn (Client $client): bool => $client->execute(self::WHERE)->fetchValue();

        self::assertFalse($ask($client));
        self::assertTrue($ask($client->withRoute(Route::Replica)));
        self::assertTrue($ask($client->withRoute(Route::Replica)->withTimeout(5000)->withSettings(['jit' => 'off'])));
        self::assertFalse($ask($client->withRoute(Route::Replica)->withRoute(Route::Primary)));
        self::assertFalse($ask($client->withRoute(Route::Replica)->withRoute(Route::Auto)));
    }

    /** @dataProvider transports */
    public function testBatchesAndStreams(?GoridgeCodec $codec): void
    {
        $client = $this->replicated($codec)->withRoute(Route::Replica);
        [$first, $second] = $client->batch()->add(self::WHERE)->add(self::WHERE)->run();

        self::assertSame([true, true], [$first->fetchValue(), $second->fetchValue()]);
        self::assertSame([['replica' => true]], [...$client->stream(self::WHERE)]);
    }

    /** @dataProvider transports */
    public function testTransactions(?GoridgeCodec $codec): void
    {
        $client = $this->replicated($codec);
        $ask = static fn (Client $client): bool => $client->execute(self::WHERE)->fetchValue();
        $reading = new TransactionOptions(readOnly: true);
        $there = new TransactionOptions(readOnly: true, route: Route::Replica);

        self::assertTrue($client->transaction($ask, $there));
        self::assertFalse($client->transaction($ask, $reading));
        // The client's own route counts where the options have none.
        self::assertTrue($client->withRoute(Route::Replica)->transaction($ask, $reading));
        self::assertTrue($client->withRoute(Route::Primary)->transaction($ask, $there));
        // What may write is at the primary, and a statement stays in its transaction.
        self::assertFalse($client->withRoute(Route::Replica)->transaction($ask));
        $client->begin();
        self::assertFalse($ask($client->withRoute(Route::Replica)));
        $client->commit();
    }

    public function testAWriteIsRefusedAtAReplica(): void
    {
        $this->expectException(PgpoolException::class);
        $this->expectExceptionMessage('read-only transaction');
        $this->replicated(null)->withRoute(Route::Replica)->execute('CREATE TABLE route_test (a int)');
    }

    public function testTheFacadeOfPdo(): void
    {
        $pdo = new PgpoolPdo(new StreamTransport(Servers::address()), 'replicated', route: Route::Replica);

        self::assertTrue($pdo->query(self::WHERE)->fetchColumn());
        $pdo->beginTransaction();
        self::assertFalse($pdo->query(self::WHERE)->fetchColumn());
        $pdo->commit();
        self::assertTrue($pdo->query(self::WHERE)->fetchColumn());
    }

    public function testLaravelsConfiguration(): void
    {
        if (!interface_exists(ConnectorInterface::class)) {
            self::markTestSkipped('illuminate/database is not installed');
        }
        $config = ['address' => Servers::address(), 'pool' => 'replicated', 'route' => ' Replica'];

        self::assertTrue((new PgpoolConnector())->connect($config)->query(self::WHERE)->fetchColumn());
    }

    /** @param GoridgeCodec|null $codec null: without goridge */
    private function replicated(?GoridgeCodec $codec): Client
    {
        return $this->over($codec, 'replicated');
    }
}
