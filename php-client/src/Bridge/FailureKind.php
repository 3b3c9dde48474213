<?php

declare(strict_types=1);

namespace RrPgpool\Bridge;

use RrPgpool\Exception\ConnectionLost;
use RrPgpool\Exception\Deadlock;
use RrPgpool\Exception\PgpoolException;
use RrPgpool\Exception\SerializationFailure;
use Throwable;

/**
 * Tells what may be repeated by what a failure is, where frameworks would go by its text.
 *
 * @internal
 */
final class FailureKind
{
    /** Whether the statement was certainly not executed, for want of a connection. */
    public static function isLostConnection(Throwable $error): bool
    {
        return self::find($error) instanceof ConnectionLost;
    }

    /** Whether the transaction was rolled back because of others, and may succeed when repeated. */
    public static function isConcurrency(Throwable $error): bool
    {
        $found = self::find($error);

        return $found instanceof SerializationFailure || $found instanceof Deadlock;
    }

    /** The package's own exception, which frameworks wrap into theirs. */
    private static function find(?Throwable $error): ?PgpoolException
    {
        while ($error !== null && !$error instanceof PgpoolException) {
            $error = $error->getPrevious();
        }

        return $error;
    }
}
