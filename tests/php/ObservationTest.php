<?php

declare(strict_types=1);

namespace RrPgpool\Tests;

final class ObservationTest extends PgpoolTestCase
{
    private const FIELDS = [
        'total_connections', 'idle_connections', 'active_connections', 'max_connections',
        'total_acquired', 'total_released', 'average_acquire_time_ms',
        'query_count', 'average_query_time_ms', 'error_count', 'slow_query_count',
        'health_checks_passed', 'health_checks_failed', 'last_health_check',
        'acquire_count', 'acquire_duration_us', 'query_duration_us', 'waiting_clients',
        'canceled_acquire_count', 'constructing_connections', 'transactions_open', 'sessions_open',
    ];

    public function testPoolStatsCountsWhatHappened(): void
    {
        $before = $this->stats();
        self::assertSame([], array_diff(self::FIELDS, array_keys($before)));
        self::assertSame(10, $before['max_connections']);
        $this->execute('SELECT 1');
        $this->client->execute('SELECT nope');
        $txId = $this->succeed($this->client->call('pgpool.TransactionBegin'))['tx_id'];
        $sessionId = $this->succeed($this->client->call('pgpool.SessionBegin'))['session_id'];
        $during = $this->stats();
        self::assertGreaterThan($before['query_count'], $during['query_count']);
        self::assertGreaterThan($before['error_count'], $during['error_count']);
        self::assertSame($before['transactions_open'] + 1, $during['transactions_open']);
        self::assertSame($before['sessions_open'] + 1, $during['sessions_open']);
        self::assertGreaterThanOrEqual(2, $during['active_connections']);
        $this->succeed($this->client->call('pgpool.TransactionRollback', ['tx_id' => $txId]));
        $this->succeed($this->client->call('pgpool.SessionEnd', ['session_id' => $sessionId]));
        self::assertSame($before['transactions_open'], $this->stats()['transactions_open']);
    }

    public function testStarMeansAllDatabases(): void
    {
        $all = ['database' => '*'];
        $stats = $this->succeed($this->client->call('pgpool.PoolStats', $all))['stats'];
        $health = $this->client->call('pgpool.HealthCheck', $all)['health'];
        $names = ['primary', 'other', 'frameworks', 'by_transaction', 'by_auto', 'by_session'];
        array_push($names, 'replicated', 'replicated/replica1');
        self::assertEqualsCanonicalizing($names, array_keys($stats));
        self::assertEqualsCanonicalizing($names, array_keys($health));
        self::assertTrue($health['primary']);
        self::assertTrue($health['other']);
    }

    public function testAnUnknownDatabaseIsAnError(): void
    {
        $reply = $this->client->call('pgpool.PoolStats', ['database' => 'nowhere']);
        $this->assertFailed('3D000', 'nowhere', $reply);
    }

    public function testVersionNamesTheServersAndFeatures(): void
    {
        $reply = $this->succeed($this->client->call('pgpool.Version'));
        self::assertMatchesRegularExpression('/^\d+\.\d+\.\d+/', $reply['version']);
        self::assertNotSame([], $reply['features']);
        self::assertMatchesRegularExpression('/^\d+/', (string) $reply['databases']['primary']);
    }

    /** @return array<string, mixed> */
    private function stats(): array
    {
        return $this->succeed($this->client->call('pgpool.PoolStats'))['stats']['primary'];
    }
}
