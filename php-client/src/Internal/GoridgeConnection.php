<?php

declare(strict_types=1);

namespace RrPgpool\Internal;

use Closure;
use RrPgpool\Exception\ConnectionLost;
use RrPgpool\Exception\InvalidArgument;
use RrPgpool\Exception\OutcomeUnknown;
use RrPgpool\Exception\PgpoolException;
use RrPgpool\Exception\ProtocolException;
use RrPgpool\Internal\Goridge\Payloads;
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

    /**
     * @param Closure(): object $connect
     * @throws ConnectionLost
     */
    public function __construct(Closure $connect, string $service, private readonly Payloads $payloads)
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
     * @return array<string, mixed>|PgpoolException the latter when it was refused, here or by the
     *     server, and this object is well
     * @throws PgpoolException and then this object must not be used again
     */
    public function call(string $method, array $request): array|PgpoolException
    {
        $id = $request['request_id'] = $this->idPrefix . ++$this->calls;
        try {
            $payload = $this->payloads->request($method, $request);
        } catch (InvalidArgument $error) {
            return $error;
        }
        try {
            $reply = $this->rpc->call($method, $payload, $this->payloads->options($method));
        } catch (Throwable $error) {
            return self::classified($error);
        }
        $reply = $this->payloads->reply($request, $reply);
        if (($reply['request_id'] ?? null) !== $id) {
            throw Frame::unreadable('the reply belongs to another request');
        }
        unset($reply['request_id']);

        return $reply;
    }

    /** @throws Throwable unless this object may be used again */
    private static function classified(Throwable $error): PgpoolException
    {
        if (str_ends_with($error::class, '\ServiceException')) {
            return new ProtocolException($error->getMessage(), '08P01', previous: $error);
        }
        $goridge = str_contains($error::class, '\Goridge\\');
        if (!$goridge && !str_starts_with($error::class, 'Google\Protobuf\\')) {
            throw $error;
        }
        if ($goridge && str_starts_with($error->getMessage(), 'Json encode')) {
            // goridge encodes before it sends.
            return new InvalidArgument(
                "the request cannot be written as JSON: {$error->getMessage()}",
                '22021',
                previous: $error,
            );
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
}
