<?php

declare(strict_types=1);

namespace RrPgpool\Tests\Bridge;

use Illuminate\Database\Connection;
use PHPUnit\Framework\TestCase;
use RrPgpool\Bridge\Laravel\PgpoolConnection;
use RrPgpool\Pdo\PgpoolPdo;
use RrPgpool\Tests\Pdo\ScriptedTransport;
use Throwable;

/**
 * What Laravel runs again, and what it must not.
 */
final class LaravelRetryTest extends TestCase
{
    private const ROW = ['columns' => [['name' => 'a', 'type' => 'int4', 'oid' => 23]], 'rows' => [[1]]];
    private const BEGUN = ['tx_id' => 't'];
    private const DONE = ['rows_affected' => 1, 'success' => true];

    protected function setUp(): void
    {
        $missing = Frameworks::missing(Connection::class);
        if ($missing !== null) {
            self::markTestSkipped($missing);
        }
    }

    public function testAStatementAfterALostConnection(): void
    {
        foreach (['08006', '08001', '57P01'] as $sqlstate) {
            [$db, $transport] = self::scripted(self::error($sqlstate), self::ROW);
            self::assertSame(1, $db->selectOne('SELECT 1')->a);
            self::assertCount(2, $transport->calls);
        }
    }

    public function testNotAfterAnUnknownOutcomeOrAnOverload(): void
    {
        // The last text is one that Laravel's own detector would take for a lost connection.
        foreach (['40003', '53300', '25000', '42601'] as $sqlstate) {
            [$db, $transport] = self::scripted(self::error($sqlstate, 'server closed the connection unexpectedly'));
            self::assertFails($sqlstate, static fn () => $db->update('UPDATE t SET a = 1'));
            self::assertCount(1, $transport->calls, $sqlstate);
        }
    }

    public function testNotInsideATransaction(): void
    {
        [$db, $transport] = self::scripted(self::BEGUN, self::error('08006'));
        $db->beginTransaction();
        self::assertFails('08006', static fn () => $db->update('UPDATE t SET a = 1'));
        self::assertCount(2, $transport->calls);
    }

    public function testTheBeginningOfATransaction(): void
    {
        [$db, $transport] = self::scripted(self::error('08006'), self::BEGUN, self::ROW, self::DONE);
        self::assertSame(1, $db->transaction(static fn (Connection $db): int => $db->selectOne('SELECT 1')->a));
        self::assertCount(4, $transport->calls);
    }

    public function testTransactionsAfterConflicts(): void
    {
        foreach (['40001', '40P01'] as $sqlstate) {
            $inStatement = [self::BEGUN, self::error($sqlstate), self::DONE, self::BEGUN, self::ROW, self::DONE];
            $inCommit = [self::BEGUN, self::ROW, self::error($sqlstate), self::BEGUN, self::ROW, self::DONE];
            foreach ([$inStatement, $inCommit] as $script) {
                [$db, $transport] = self::scripted(...$script);
                $select = static fn (Connection $db): int => $db->selectOne('SELECT 1')->a;
                self::assertSame(1, $db->transaction($select, 2));
                self::assertCount(6, $transport->calls);
            }
        }
    }

    public function testNotAfterAnUnknownCommit(): void
    {
        [$db, $transport] = self::scripted(self::BEGUN, self::ROW, self::error('40003'));
        self::assertFails('40003', static fn () => $db->transaction(
            static fn (Connection $db) => $db->selectOne('SELECT 1'),
            5,
        ));
        self::assertSame(0, $db->transactionLevel());
        self::assertCount(3, $transport->calls);
    }

    /**
     * @param array<string, mixed> ...$replies
     * @return array{PgpoolConnection, ScriptedTransport}
     */
    private static function scripted(array ...$replies): array
    {
        $transport = new ScriptedTransport(...$replies);
        $open = static fn (): PgpoolPdo => new PgpoolPdo($transport);
        $db = new PgpoolConnection($open, 'app', '', ['driver' => 'pgpool', 'name' => 'test']);
        $db->setReconnector(static fn (Connection $db): Connection => $db->setPdo($open));

        return [$db, $transport];
    }

    /** @return array<string, string> */
    private static function error(string $sqlstate, string $text = 'it failed'): array
    {
        return ['error' => $text, 'sqlstate' => $sqlstate];
    }

    private static function assertFails(string $sqlstate, callable $work): void
    {
        try {
            $work();
        } catch (Throwable $error) {
            self::assertSame($sqlstate, $error->getCode(), $error->getMessage());

            return;
        }
        self::fail("no error, though {$sqlstate} was to come");
    }
}
