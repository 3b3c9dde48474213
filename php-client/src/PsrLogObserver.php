<?php

declare(strict_types=1);

namespace RrPgpool;

use Psr\Log\LoggerInterface;

/**
 * Writes every statement to a PSR-3 logger: at debug level, and at warning level when it failed. The
 * text has no argument values.
 */
final class PsrLogObserver implements QueryObserver
{
    public function __construct(private readonly LoggerInterface $logger)
    {
    }

    public function executed(QueryEvent $event): void
    {
        $context = [
            'database' => $event->database,
            'sql' => $event->sql,
            'duration_ms' => round($event->durationMs, 3),
            'rows' => $event->rows,
        ];
        if ($event->exception === null) {
            $this->logger->debug('rr-pgpool: {sql} ({duration_ms} ms)', $context);
        } else {
            $this->logger->warning(
                'rr-pgpool: {sql} failed after {duration_ms} ms',
                $context + ['exception' => $event->exception],
            );
        }
    }
}
