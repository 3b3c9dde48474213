<?php

declare(strict_types=1);

namespace RrPgpool\Internal;

use RrPgpool\Exception\Deadlock;
use RrPgpool\Exception\PgpoolException;
use RrPgpool\Exception\SerializationFailure;
use RrPgpool\Exception\TransactionEnded;
use RrPgpool\TransactionOptions;
use Throwable;

/**
 * Runs a callable in a transaction, and again where that was asked for and may help.
 *
 * @internal
 */
final class TransactionRunner
{
    /** Microseconds; the longest wait before the first retry, doubled for each further one. */
    private const FIRST_DELAY = 10_000;
    private const MAX_DELAY = 1_000_000;

    public function __construct(private readonly Executor $executor)
    {
    }

    /**
     * @template T
     * @param callable(): T $work
     * @param int $retries for the outermost transaction
     * @return T
     */
    public function run(callable $work, ?TransactionOptions $options, int $retries): mixed
    {
        $left = $this->executor->depth() === 0 ? $retries : 0;
        for ($attempt = 0; true; ++$attempt) {
            try {
                return $this->once($work, $options);
            } catch (Throwable $error) {
                if ($attempt >= $left || !self::mayHelp($error)) {
                    throw $error;
                }
            }
            // Rivals that wait equally long would meet again.
            usleep(random_int(0, min(self::FIRST_DELAY << min($attempt, 10), self::MAX_DELAY)));
        }
    }

    /**
     * @template T
     * @param callable(): T $work
     * @return T
     */
    private function once(callable $work, ?TransactionOptions $options): mixed
    {
        $this->executor->begin($options);
        $level = $this->executor->depth();
        try {
            $result = $work();
            if ($this->executor->depth() < $level) {
                throw new TransactionEnded('the transaction was ended inside its own callable', '25P01');
            }
            while ($this->executor->depth() >= $level) {
                $this->executor->commit();
            }

            return $result;
        } catch (Throwable $error) {
            $this->unwind($level);
            throw $error;
        }
    }

    /** Back to where begin() found it. A further failure must not hide the first. */
    private function unwind(int $level): void
    {
        while ($this->executor->depth() >= $level) {
            try {
                $this->executor->rollback();
            } catch (PgpoolException) {
                // The level is gone all the same, see Executor::rollback().
            }
        }
    }

    private static function mayHelp(Throwable $error): bool
    {
        for ($cause = $error; $cause !== null; $cause = $cause->getPrevious()) {
            if ($cause instanceof SerializationFailure || $cause instanceof Deadlock) {
                return true;
            }
        }

        return false;
    }
}
