<?php

declare(strict_types=1);

namespace RrPgpool;

use DateTimeImmutable;

/**
 * Numbers of one pool; those that count do so since the server started.
 */
final class PoolStats
{
    private function __construct(
        /** Connections to PostgreSQL, and what they do. */
        public readonly int $totalConnections,
        public readonly int $idleConnections,
        public readonly int $activeConnections,
        public readonly int $constructingConnections,
        public readonly int $maxConnections,
        /** Callers that wait for a connection now. */
        public readonly int $waitingClients,
        public readonly int $transactionsOpen,
        public readonly int $sessionsOpen,
        /** Connections handed out, taken back, and waited for in vain. */
        public readonly int $totalAcquired,
        public readonly int $totalReleased,
        public readonly int $canceledAcquireCount,
        /** Microseconds spent waiting for connections. */
        public readonly int $acquireDurationUs,
        public readonly int $queryCount,
        /** Microseconds spent in statements. */
        public readonly int $queryDurationUs,
        public readonly int $errorCount,
        public readonly int $slowQueryCount,
        public readonly int $healthChecksPassed,
        public readonly int $healthChecksFailed,
        /** Null before the first. */
        public readonly ?DateTimeImmutable $lastHealthCheck,
        /** The last failure to open a connection or to pass a check; it stays after a recovery. */
        public readonly ?string $lastError,
        /** Clients of the PostgreSQL door that keep a connection for what they have in its session. */
        public readonly int $pinnedClients,
        /** "closed", "open" or "half-open"; null where there is no circuit breaker. */
        public readonly ?string $breaker,
        /** Statements that were answered from memory, and that could have been. */
        public readonly int $cacheHits,
        public readonly int $cacheMisses,
    ) {
    }

    /**
     * @internal
     * @param array<string, mixed> $stats one entry of the reply of PoolStats
     */
    public static function fromReply(array $stats): self
    {
        $number = static fn (string $name): int => (int) ($stats[$name] ?? 0);
        $checked = (string) ($stats['last_health_check'] ?? '');
        $never = $checked === '' || str_starts_with($checked, '0001-');

        return new self(
            $number('total_connections'),
            $number('idle_connections'),
            $number('active_connections'),
            $number('constructing_connections'),
            $number('max_connections'),
            $number('waiting_clients'),
            $number('transactions_open'),
            $number('sessions_open'),
            $number('total_acquired'),
            $number('total_released'),
            $number('canceled_acquire_count'),
            $number('acquire_duration_us'),
            $number('query_count'),
            $number('query_duration_us'),
            $number('error_count'),
            $number('slow_query_count'),
            $number('health_checks_passed'),
            $number('health_checks_failed'),
            $never ? null : new DateTimeImmutable($checked),
            isset($stats['last_error']) ? (string) $stats['last_error'] : null,
            $number('pinned_clients'),
            isset($stats['breaker']) ? (string) $stats['breaker'] : null,
            $number('cache_hits'),
            $number('cache_misses'),
        );
    }
}
