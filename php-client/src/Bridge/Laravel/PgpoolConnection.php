<?php

declare(strict_types=1);

namespace RrPgpool\Bridge\Laravel;

use Illuminate\Database\PostgresConnection;
use RrPgpool\Bridge\FailureKind;
use RrPgpool\Pdo\PgpoolPdo;
use Throwable;

/**
 * Laravel's PostgreSQL connection on the pool. What may be run again is decided by the kind of the
 * failure: a lost connection by Connection, serialization failures and deadlocks by transaction().
 * An unknown outcome and an overload are nobody's to repeat.
 */
class PgpoolConnection extends PostgresConnection
{
    /** Packages choose their SQL by this name. */
    public function getDriverName(): string
    {
        return 'pgsql';
    }

    /**
     * Rolls back what a request, task or job has left open, and ends its session.
     *
     * @return bool whether there was a transaction
     */
    public function endRequest(): bool
    {
        $open = $this->transactionLevel() > 0;
        try {
            $this->rollBack(0);
        } catch (Throwable) {
            // The server has no more of it than we do; below, neither of us remembers it.
            $this->transactions = 0;
        }
        foreach ([$this->getRawPdo(), $this->getRawReadPdo()] as $pdo) {
            if ($pdo instanceof PgpoolPdo) {
                $open = $pdo->reset() || $open;
            }
        }

        return $open;
    }

    protected function causedByLostConnection(Throwable $e): bool
    {
        return FailureKind::isLostConnection($e);
    }

    protected function causedByConcurrencyError(Throwable $e): bool
    {
        return FailureKind::isConcurrency($e);
    }
}
