<?php

declare(strict_types=1);

namespace RrPgpool\Tests;

final class TransactionTest extends PgpoolTestCase
{
    private string $table;

    protected function setUp(): void
    {
        parent::setUp();
        $this->table = $this->tableName();
        $this->execute("CREATE TABLE {$this->table} (n int)");
    }

    protected function tearDown(): void
    {
        $this->execute("DROP TABLE {$this->table}");
        parent::tearDown();
    }

    /** @param array<string, mixed> $params */
    private function begin(array $params = []): string
    {
        $txId = $this->succeed($this->client->call('pgpool.TransactionBegin', $params))['tx_id'];
        self::assertIsString($txId);
        self::assertNotSame('', $txId);

        return $txId;
    }

    private function countRows(): int
    {
        return $this->value("SELECT count(*) FROM {$this->table}");
    }

    private function insert(string $txId): void
    {
        $this->execute("INSERT INTO {$this->table} VALUES (1)", [], ['tx_id' => $txId]);
    }

    public function testCommitKeepsAndRollbackDiscards(): void
    {
        $txId = $this->begin();
        $this->insert($txId);
        self::assertSame(0, $this->countRows(), 'not visible outside yet');
        $reply = $this->succeed($this->client->call('pgpool.TransactionCommit', ['tx_id' => $txId]));
        self::assertTrue($reply['success']);
        self::assertSame(1, $this->countRows());

        $txId = $this->begin();
        $this->insert($txId);
        $reply = $this->succeed($this->client->call('pgpool.TransactionRollback', ['tx_id' => $txId]));
        self::assertTrue($reply['success']);
        self::assertSame(1, $this->countRows());
    }

    public function testTheOlderMethodNamesWork(): void
    {
        $txId = $this->succeed($this->client->call('pgpool.BeginTransaction'))['tx_id'];
        $this->insert($txId);
        $this->succeed($this->client->call('pgpool.CommitTransaction', ['tx_id' => $txId]));
        $txId = $this->succeed($this->client->call('pgpool.BeginTransaction'))['tx_id'];
        $this->insert($txId);
        $this->succeed($this->client->call('pgpool.RollbackTransaction', ['tx_id' => $txId]));
        self::assertSame(1, $this->countRows());
    }

    public function testTwoConnectionsShareATransactionByItsId(): void
    {
        $txId = $this->begin();
        $this->insert($txId);
        $second = $this->connect();
        $query = "SELECT count(*) AS n FROM {$this->table}";
        $reply = $this->succeed($second->execute($query, [], ['tx_id' => $txId]));
        self::assertSame(1, $reply['rows'][0]['n']);
        $second->close();
        self::assertSame(1, $this->value($query, [], ['tx_id' => $txId]), 'its owner is still there');
        $third = $this->connect();
        $this->succeed($third->call('pgpool.TransactionCommit', ['tx_id' => $txId]));
        $third->close();
        self::assertSame(1, $this->countRows());
    }

    public function testEndsWithTheConnectionThatBeganIt(): void
    {
        $owner = $this->connect();
        $txId = $this->succeed($owner->call('pgpool.TransactionBegin'))['tx_id'];
        $this->insert($txId);
        $owner->close();
        $deadline = microtime(true) + 10;
        do {
            $reply = $this->client->execute('SELECT 1', [], ['tx_id' => $txId]);
        } while (!isset($reply['error']) && microtime(true) < $deadline);
        self::assertStringStartsWith('25', $reply['sqlstate'] ?? '', (string) json_encode($reply));
        self::assertSame(0, $this->countRows());
    }

    public function testTakesAnIdOfTheCallersOwn(): void
    {
        $own = 'order-' . bin2hex(random_bytes(4));
        self::assertSame($own, $this->begin(['tx_id' => $own]));
        $twice = $this->client->call('pgpool.TransactionBegin', ['tx_id' => $own]);
        $this->assertFailed('42710', $own, $twice);
        $this->succeed($this->client->call('pgpool.TransactionRollback', ['tx_id' => $own]));
        $long = $this->client->call('pgpool.TransactionBegin', ['tx_id' => str_repeat('x', 129)]);
        self::assertArrayHasKey('sqlstate', $long);
    }

    public function testTellsUnknownFromFinished(): void
    {
        $unknown = $this->client->execute('SELECT 1', [], ['tx_id' => 'never-begun']);
        self::assertSame('25P01', $unknown['sqlstate'] ?? null);
        $txId = $this->begin();
        $this->succeed($this->client->call('pgpool.TransactionCommit', ['tx_id' => $txId]));
        $again = $this->client->call('pgpool.TransactionCommit', ['tx_id' => $txId]);
        self::assertSame('25000', $again['sqlstate'] ?? null);
        self::assertFalse($again['success']);
    }

    public function testIdleTransactionsEnd(): void
    {
        $txId = $this->begin(['idle_timeout' => 100]);
        usleep(600_000);
        $reply = $this->client->execute('SELECT 1', [], ['tx_id' => $txId]);
        self::assertSame('25P03', $reply['sqlstate'] ?? null, (string) json_encode($reply));
    }

    public function testCommitOfAFailedTransactionIsNoSuccess(): void
    {
        $txId = $this->begin();
        $this->insert($txId);
        $failed = $this->client->execute('SELECT 1/0', [], ['tx_id' => $txId]);
        $this->assertFailed('22012', 'division by zero', $failed);
        $refused = $this->client->execute('SELECT 1', [], ['tx_id' => $txId]);
        self::assertSame('25P02', $refused['sqlstate'] ?? null);
        $commit = $this->client->call('pgpool.TransactionCommit', ['tx_id' => $txId]);
        self::assertFalse($commit['success']);
        self::assertArrayHasKey('sqlstate', $commit);
        self::assertSame(0, $this->countRows());
    }

    public function testTakesCharacteristicsAndSettings(): void
    {
        $txId = $this->begin([
            'isolation_level' => 'serializable',
            'read_only' => true,
            'deferrable' => true,
            'settings' => ['TimeZone' => 'Asia/Tokyo'],
        ]);
        $inside = ['tx_id' => $txId];
        self::assertSame('serializable', $this->value("SELECT current_setting('transaction_isolation')", [], $inside));
        self::assertSame('on', $this->value("SELECT current_setting('transaction_deferrable')", [], $inside));
        self::assertSame('Asia/Tokyo', $this->value("SELECT current_setting('TimeZone')", [], $inside));
        $write = $this->client->execute("INSERT INTO {$this->table} VALUES (1)", [], $inside);
        $this->assertFailed('25006', 'read-only', $write);
        $this->succeed($this->client->call('pgpool.TransactionRollback', $inside));
        $wrong = $this->client->call('pgpool.TransactionBegin', ['isolation_level' => 'perfect']);
        self::assertStringContainsString('perfect', $wrong['error'] ?? '');
    }

    public function testSqlCommitEndsTheTransactionToo(): void
    {
        $txId = $this->begin();
        $this->insert($txId);
        $this->execute('COMMIT', [], ['tx_id' => $txId]);
        self::assertSame(1, $this->countRows());
        $late = $this->client->call('pgpool.TransactionCommit', ['tx_id' => $txId]);
        self::assertSame('25000', $late['sqlstate'] ?? null);
    }

    public function testSavepointsWorkInside(): void
    {
        $txId = $this->begin();
        $inside = ['tx_id' => $txId];
        $this->insert($txId);
        $this->execute('SAVEPOINT s', [], $inside);
        $this->assertFailed('22012', 'division', $this->client->execute('SELECT 1/0', [], $inside));
        $this->execute('ROLLBACK TO SAVEPOINT s', [], $inside);
        $this->insert($txId);
        $this->succeed($this->client->call('pgpool.TransactionCommit', $inside));
        self::assertSame(2, $this->countRows());
    }
}
