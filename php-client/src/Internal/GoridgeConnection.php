<?php

declare(strict_types=1);

namespace RrPgpool\Internal;

use Closure;
use RrPgpool\Exception\ConnectionLost;
use RrPgpool\Exception\OutcomeUnknown;
use RrPgpool\Exception\PgpoolException;
use RrPgpool\Exception\ProtocolException;
use Throwable;

/**
 * One RPC object of goridge. Its exceptions are told apart by name, because goridge need not be
 * installed and has had two names itself.
 *
 * @internal
 */
final class GoridgeConnection
{
    private readonly object $rpc;
    private readonly string $idPrefix;
    private int $calls = 0;
    /** @var array<string, list<array<string, mixed>>> columns by cursor, for replies that have none */
    private array $cursors = [];

    /**
     * @param Closure(): object $connect
     * @throws ConnectionLost
     */
    public function __construct(Closure $connect, string $service, private readonly bool $msgpack)
    {
        try {
            $this->rpc = $connect()->withServicePrefix($service);
        } catch (Throwable $error) {
            throw new ConnectionLost("could not connect: {$error->getMessage()}", '08001', previous: $error);
        }
        $this->idPrefix = bin2hex(random_bytes(6)) . '-';
    }

    /**
     * @param array<string, mixed> $request
     * @return array<string, mixed>|ProtocolException the latter being an answer, too
     * @throws PgpoolException and then this object must not be used again
     */
    public function call(string $method, array $request): array|ProtocolException
    {
        $id = $request['request_id'] = $this->idPrefix . ++$this->calls;
        try {
            $reply = $this->rpc->call($method, $request, $this->msgpack ? null : JSON_BIGINT_AS_STRING);
        } catch (Throwable $error) {
            return self::classified($error);
        }
        if (!is_array($reply) || ($reply['request_id'] ?? null) !== $id) {
            throw Frame::unreadable('the reply belongs to another request');
        }
        unset($reply['request_id']);

        return $this->msgpack ? self::asJson($reply, $this->columns($request, $reply)) : $reply;
    }

    /**
     * @param array<string, mixed> $request
     * @param array<string, mixed> $reply
     * @return list<array<string, mixed>>
     */
    private function columns(array $request, array $reply): array
    {
        if (isset($reply['cursor_id'])) {
            $this->cursors[$reply['cursor_id']] = $reply['columns'] ?? [];
        }
        $cursor = $request['cursor_id'] ?? null;
        $columns = $reply['columns'] ?? $this->cursors[$cursor ?? ''] ?? [];
        if ($cursor !== null && ($reply['done'] ?? true) === true) {
            unset($this->cursors[$cursor]);
        }

        return $columns;
    }

    /** @throws Throwable unless it is an answer of the server */
    private static function classified(Throwable $error): ProtocolException
    {
        if (str_ends_with($error::class, '\ServiceException')) {
            return new ProtocolException($error->getMessage(), '08P01', previous: $error);
        }
        if (!str_contains($error::class, '\Goridge\\')) {
            throw $error;
        }
        if (str_contains($error->getMessage(), 'Unable to establish connection')) {
            throw new ConnectionLost($error->getMessage(), '08001', previous: $error);
        }
        // goridge's own text may have words on which frameworks repeat a statement.
        throw new OutcomeUnknown(
            'the call failed in goridge; whether the request was executed is unknown',
            '40003',
            previous: $error,
        );
    }

    /**
     * MessagePack has bytea as it is, which could be mistaken for the text that JSON has.
     *
     * @param array<string, mixed> $reply
     * @param list<array<string, mixed>> $columns
     * @return array<string, mixed>
     */
    private static function asJson(array $reply, array $columns): array
    {
        foreach ($reply['results'] ?? [] as $number => $result) {
            $reply['results'][$number] = self::asJson($result, $result['columns'] ?? []);
        }
        foreach ($columns as $index => $column) {
            if ($column['oid'] === RowReader::BYTEA || $column['oid'] === RowReader::BYTEA_ARRAY) {
                foreach ($reply['rows'] ?? [] as $number => $row) {
                    $reply['rows'][$number][$index] = self::hex($row[$index]);
                }
            }
        }

        return $reply;
    }

    private static function hex(mixed $value): mixed
    {
        return match (true) {
            is_string($value) => '\x' . bin2hex($value),
            is_array($value) => array_map(self::hex(...), $value),
            default => $value,
        };
    }
}
