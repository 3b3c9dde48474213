<?php

declare(strict_types=1);

namespace RrPgpool\Internal\Goridge;

use RrPgpool\Protobuf\V1;
use RrPgpool\Protobuf\V1\Column;
use RrPgpool\Protobuf\V1\DatabaseStats;
use RrPgpool\Protobuf\V1\ErrorDetail;

/**
 * The fields of reply messages, by the names that they have in JSON. What JSON leaves out is an empty
 * value in a message, and left out here.
 *
 * @internal
 */
final class ProtobufReplies
{
    private const STATS = [
        'total_connections', 'idle_connections', 'active_connections', 'constructing_connections',
        'max_connections', 'waiting_clients', 'transactions_open', 'sessions_open', 'total_acquired',
        'total_released', 'acquire_count', 'canceled_acquire_count', 'acquire_duration_us',
        'average_acquire_time_ms', 'query_count', 'query_duration_us', 'average_query_time_ms',
        'error_count', 'slow_query_count', 'health_checks_passed', 'health_checks_failed',
        'last_health_check', 'last_error', 'pinned_clients', 'breaker', 'cache_hits', 'cache_misses', 'cache_hit_ratio',
    ];

    private const TOP_QUERY = [
        'database', 'query', 'calls', 'errors', 'rows', 'total_time_us', 'mean_time_us', 'p99_time_us',
    ];

    private const DETAILS = [
        'severity', 'message', 'detail', 'hint', 'position', 'schema', 'table', 'column', 'constraint',
    ];

    /** @return array<string, mixed>|null null when it is no reply message */
    public static function fields(mixed $reply): ?array
    {
        $fields = match (true) {
            $reply instanceof V1\ExecuteResponse => self::execute($reply),
            $reply instanceof V1\ExecuteBatchResponse => self::batch($reply),
            $reply instanceof V1\CursorOpenResponse =>
                ['cursor_id' => $reply->getCursorId(), 'columns' => self::columns($reply->getColumns())],
            $reply instanceof V1\CursorFetchResponse => [
                'rows' => ProtobufValues::rows($reply->getRows()),
                'done' => $reply->getDone(),
            ] + self::times($reply),
            $reply instanceof V1\TransactionBeginResponse => ['tx_id' => $reply->getTxId()],
            $reply instanceof V1\SessionBeginResponse => ['session_id' => $reply->getSessionId()],
            $reply instanceof V1\EndResponse => ['success' => $reply->getSuccess()],
            $reply instanceof V1\PoolStatsResponse =>
                ['stats' => array_map(self::stats(...), iterator_to_array($reply->getStats()))],
            $reply instanceof V1\TopQueriesResponse => [
                'queries' => array_map(
                    static fn (V1\TopQuery $query): array => self::named($query, self::TOP_QUERY),
                    iterator_to_array($reply->getQueries()),
                ),
            ],
            $reply instanceof V1\HealthCheckResponse => [
                'health' => iterator_to_array($reply->getHealth()),
                'errors' => iterator_to_array($reply->getErrors()),
            ],
            $reply instanceof V1\VersionResponse => [
                'version' => $reply->getVersion(),
                'features' => iterator_to_array($reply->getFeatures()),
                'databases' => iterator_to_array($reply->getDatabases()),
            ],
            default => null,
        };
        if ($fields === null) {
            return null;
        }

        return self::failure($reply) + $fields + ['request_id' => $reply->getRequestId()];
    }

    /** @return array<string, mixed> */
    private static function execute(V1\ExecuteResponse $reply): array
    {
        $fields = ['rows_affected' => (int) $reply->getRowsAffected()] + self::times($reply);
        $columns = self::columns($reply->getColumns());
        $rows = ProtobufValues::rows($reply->getRows());
        if ($reply->getCache() !== '') {
            $fields['cache'] = $reply->getCache();
        }

        return $columns === [] && $rows === [] ? $fields : ['rows' => $rows, 'columns' => $columns] + $fields;
    }

    /** @return array<string, mixed> */
    private static function batch(V1\ExecuteBatchResponse $reply): array
    {
        $fields = ['results' => []] + self::times($reply);
        foreach ($reply->getResults() as $result) {
            $fields['results'][] = self::failure($result) + self::execute($result);
        }

        return $reply->hasFailed() ? $fields + ['failed' => (int) $reply->getFailed()] : $fields;
    }

    /** @return array<string, mixed> `error` and its companions, where there are any */
    private static function failure(object $reply): array
    {
        if ($reply instanceof V1\VersionResponse || $reply->getSqlstate() === '') {
            return [];
        }
        $fields = ['error' => $reply->getError(), 'sqlstate' => $reply->getSqlstate()];
        $detail = method_exists($reply, 'getErrorDetail') ? $reply->getErrorDetail() : null;

        return $detail === null ? $fields : $fields + ['error_detail' => self::detail($detail)];
    }

    /** @return array<string, mixed> */
    private static function detail(ErrorDetail $detail): array
    {
        return array_filter(self::named($detail, self::DETAILS), static fn ($value) => $value !== '' && $value !== 0);
    }

    /** @return array<string, mixed> */
    private static function stats(DatabaseStats $stats): array
    {
        $fields = self::named($stats, self::STATS);
        $fields['pins'] = iterator_to_array($stats->getPins());

        return array_filter($fields, static fn ($value) => $value !== '');
    }

    /** @return array<string, int> */
    private static function times(object $reply): array
    {
        return [
            'execution_time' => (int) $reply->getExecutionTime(),
            'execution_time_us' => (int) $reply->getExecutionTimeUs(),
        ];
    }

    /**
     * @param iterable<Column> $columns
     * @return list<array{name: string, type: string, oid: int}>
     */
    private static function columns(iterable $columns): array
    {
        $list = [];
        foreach ($columns as $column) {
            $list[] = ['name' => $column->getName(), 'type' => $column->getType(), 'oid' => $column->getOid()];
        }

        return $list;
    }

    /**
     * @param list<string> $names
     * @return array<string, mixed>
     */
    private static function named(object $message, array $names): array
    {
        $fields = [];
        foreach ($names as $name) {
            $fields[$name] = $message->{'get' . str_replace('_', '', ucwords($name, '_'))}();
        }

        return $fields;
    }
}
