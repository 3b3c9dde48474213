<?php

declare(strict_types=1);

namespace RrPgpool\Internal;

use RrPgpool\Exception as E;
use RrPgpool\Exception\PgpoolException;

/**
 * From SQLSTATE to exception: the one place that knows which is which. Messages are those of PostgreSQL or the
 * pool, whose remedies get the words of this package.
 *
 * @internal
 */
final class ErrorTable
{
    private const STATES = [
        '23001' => E\ForeignKeyViolation::class,
        '23502' => E\NotNullViolation::class,
        '23503' => E\ForeignKeyViolation::class,
        '23505' => E\UniqueViolation::class,
        '23514' => E\CheckViolation::class,
        '23P01' => E\ExclusionViolation::class,
        '25000' => E\TransactionEnded::class,
        '25006' => E\ReadOnlyTransaction::class,
        '25P01' => E\TransactionEnded::class,
        '25P02' => E\TransactionFailed::class,
        '25P03' => E\TransactionEnded::class,
        '25P04' => E\TransactionEnded::class,
        '40001' => E\SerializationFailure::class,
        '40003' => E\OutcomeUnknown::class,
        '40P01' => E\Deadlock::class,
        '42601' => E\SyntaxError::class,
        '53300' => E\PoolExhausted::class,
        '55P03' => E\LockTimeout::class,
        '57014' => E\QueryTimeout::class,
        '57P01' => E\ConnectionLost::class,
        '57P02' => E\ConnectionLost::class,
        '57P03' => E\ConnectionLost::class,
        // The statement's arguments do not fit it; the connection is well.
        '08P01' => E\QueryError::class,
    ];

    private const CLASSES = [
        '08' => E\ConnectionLost::class,
        '22' => E\DataError::class,
        '23' => E\ConstraintViolation::class,
        '42' => E\QueryError::class,
    ];

    /** @return class-string<PgpoolException> */
    public static function classOf(string $sqlstate): string
    {
        return self::STATES[$sqlstate]
            ?? self::CLASSES[substr($sqlstate, 0, 2)]
            ?? PgpoolException::class;
    }

    /**
     * The exception for a reply that has `error`.
     *
     * @param array<string, mixed> $reply
     */
    public static function exception(array $reply, ?string $query = null): PgpoolException
    {
        $sqlstate = (string) ($reply['sqlstate'] ?? 'XX000');
        $class = self::classOf($sqlstate);
        $fields = (array) ($reply['error_detail'] ?? []);
        if (isset($reply['failed'])) {
            $fields['statement'] = $reply['failed'];
        }

        return new $class(Remedies::forClient((string) $reply['error']), $sqlstate, $fields, $query);
    }
}
