<?php

declare(strict_types=1);

namespace RrPgpool\Internal\Goridge;

use RrPgpool\Exception\InvalidArgument;
use RrPgpool\Protobuf\V1;
use Throwable;

/**
 * The messages of proto/pgpool.proto. Their replies have json and arrays as PostgreSQL prints them;
 * these become values here, unless text was asked for.
 *
 * @internal
 */
final class ProtobufPayloads implements Payloads
{
    private const REQUESTS = [
        'Execute' => V1\ExecuteRequest::class,
        'ExecuteBatch' => V1\ExecuteBatchRequest::class,
        'CursorOpen' => V1\CursorOpenRequest::class,
        'CursorFetch' => V1\CursorFetchRequest::class,
        'TransactionBegin' => V1\TransactionBeginRequest::class,
        'SessionBegin' => V1\SessionBeginRequest::class,
        'PoolStats' => V1\DatabaseRequest::class,
        'TopQueries' => V1\TopQueriesRequest::class,
        'HealthCheck' => V1\DatabaseRequest::class,
        'Version' => V1\DatabaseRequest::class,
    ];

    private const REPLIES = [
        'Execute' => V1\ExecuteResponse::class,
        'ExecuteBatch' => V1\ExecuteBatchResponse::class,
        'CursorOpen' => V1\CursorOpenResponse::class,
        'CursorFetch' => V1\CursorFetchResponse::class,
        'TransactionBegin' => V1\TransactionBeginResponse::class,
        'SessionBegin' => V1\SessionBeginResponse::class,
        'PoolStats' => V1\PoolStatsResponse::class,
        'TopQueries' => V1\TopQueriesResponse::class,
        'HealthCheck' => V1\HealthCheckResponse::class,
        'Version' => V1\VersionResponse::class,
    ];

    private readonly ColumnMemory $columns;

    public function __construct()
    {
        $this->columns = new ColumnMemory(NativeText::reader(...));
    }

    public function request(string $method, array $request): mixed
    {
        $class = self::REQUESTS[$method] ?? V1\EndRequest::class;
        // Rows are lists in any case, and which types are wanted is this side's business.
        unset($request['result'], $request['types']);
        try {
            return new $class(ProtobufValues::fields($request));
        } catch (Throwable $error) {
            throw new InvalidArgument(
                "the request cannot be written as protobuf: {$error->getMessage()}",
                '22021',
                previous: $error,
            );
        }
    }

    public function options(string $method): mixed
    {
        return self::REPLIES[$method] ?? V1\EndResponse::class;
    }

    public function reply(array $request, mixed $reply): ?array
    {
        $fields = ProtobufReplies::fields($reply);

        return $fields === null ? null : $this->columns->apply($request, $fields);
    }
}
