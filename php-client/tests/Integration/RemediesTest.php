<?php

declare(strict_types=1);

namespace RrPgpool\Tests\Integration;

use PDOException;
use RrPgpool\Exception\PgpoolException;
use RrPgpool\Pdo\PgpoolPdo;
use RrPgpool\Tests\Servers;
use RrPgpool\Transport\StreamTransport;

/** No message of the server tells a PHP program to do what only its RPC has. */
final class RemediesTest extends ClientTestCase
{
    private const RPC = '/(Transaction|Session)(Begin|Commit|Rollback|End)|Cursor(Open|Fetch)|\bExecute\b'
        . '|_id\b|"\w+"( of|:)|isolation_level|\batomic\b/';

    /** @return array<string, array{string}> what needs something that a statement by itself has not */
    public static function statements(): array
    {
        $statements = [
            'LISTEN a', 'UNLISTEN a', 'CREATE TEMPORARY TABLE a (i int)', 'PREPARE a AS SELECT 1', 'EXECUTE a',
            'DEALLOCATE a', 'SELECT pg_advisory_lock(1)', 'SELECT lastval()', 'SET search_path TO a', 'SET ROLE app',
            'RESET search_path', "SELECT set_config('a.b', 'c', false)", 'SET LOCAL jit = off',
            'SET TRANSACTION READ ONLY', 'SET CONSTRAINTS ALL DEFERRED', 'DECLARE a CURSOR WITH HOLD FOR SELECT 1',
            'DECLARE a CURSOR FOR SELECT 1', 'FETCH a', 'MOVE a', 'CLOSE a', "LOAD 'x'", 'DISCARD ALL',
            'SELECT lo_open(1, 1)', 'LOCK pg_class', 'SAVEPOINT a', 'ROLLBACK TO SAVEPOINT a',
            'PREPARE TRANSACTION $$a$$',
        ];

        return array_combine($statements, array_map(static fn (string $sql): array => [$sql], $statements));
    }

    /** @dataProvider statements */
    public function testAStatementByItself(string $sql): void
    {
        $remedy = '/\$client->|TransactionOptions/';
        $this->assertInPhpWords($remedy, fn () => $this->client->execute($sql));
        $this->assertInPhpWords($remedy, function () use ($sql): void {
            $result = $this->client->batch()->add($sql)->run()[0];
            throw $result instanceof PgpoolException ? $result : new PgpoolException('no error', '00000');
        });
        $pdo = new PgpoolPdo(new StreamTransport(Servers::address()));
        $this->assertInPhpWords('/\$pdo->|PgpoolPdo/', static fn () => $pdo->exec($sql));
    }

    /** @dataProvider statements */
    public function testInATransaction(string $sql): void
    {
        $this->client->begin();
        try {
            $this->client->execute($sql);
        } catch (PgpoolException $error) {
            self::assertDoesNotMatchRegularExpression(self::RPC, $error->getMessage());
        }
        $this->client->rollback();
        self::assertSame(1, $this->client->execute('SELECT 1')->fetchValue());
    }

    public function testTheRest(): void
    {
        $client = $this->client;
        $calls = [
            static fn () => $client->execute('BEGIN'),
            static fn () => $client->execute('COMMIT'),
            static fn () => $client->execute('ROLLBACK'),
            static fn () => $client->execute('SELECT 1; SELECT 2'),
            static fn () => $client->batch()->add('SELECT 1')->add('BEGIN')->runAtomic(),
            static fn () => $client->withSettings(['transaction_read_only' => true])->execute('SELECT 1'),
            static fn () => [...$client->stream('CREATE TABLE never (a int)')],
            static fn () => $client->transaction(static fn () => [...$client->stream('LOCK pg_class')]),
            static fn () => $client->execute("SELECT repeat('x', 70000000)"),
        ];
        foreach ($calls as $call) {
            $this->assertInPhpWords('/\$client->|TransactionOptions|runAtomic/', $call);
        }
    }

    private function assertInPhpWords(string $remedy, callable $work): void
    {
        try {
            $work();
        } catch (PgpoolException | PDOException $error) {
            self::assertMatchesRegularExpression($remedy, $error->getMessage());
            self::assertDoesNotMatchRegularExpression(self::RPC, $error->getMessage());

            return;
        }
        self::fail('no exception');
    }
}
