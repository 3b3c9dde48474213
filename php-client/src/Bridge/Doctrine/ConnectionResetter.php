<?php

declare(strict_types=1);

namespace RrPgpool\Bridge\Doctrine;

use Doctrine\DBAL\Connection;
use Psr\Log\LoggerInterface;
use RrPgpool\Pdo\PgpoolPdo;

/**
 * Rolls back what a request has left open on connections of DBAL, and ends its sessions. For Symfony,
 * give the service the tag `kernel.reset` with the method `reset`; elsewhere, call it at the end of
 * every request.
 */
final class ConnectionResetter
{
    /** @param iterable<Connection> $connections those on other drivers are left alone */
    public function __construct(
        private readonly iterable $connections,
        private readonly ?LoggerInterface $logger = null,
    ) {
    }

    public function reset(): void
    {
        foreach ($this->connections as $connection) {
            // Asking for the native one would connect.
            if ($connection->isConnected()) {
                $this->resetOne($connection);
            }
        }
    }

    private function resetOne(Connection $connection): void
    {
        $native = $connection->getNativeConnection();
        if (!$native instanceof PgpoolPdo) {
            return;
        }
        $open = $native->reset();
        if ($connection->isTransactionActive()) {
            // DBAL counts by itself; closing is how it is told that nothing is open any more.
            $connection->close();
            $open = true;
        }
        if ($open) {
            $this->logger?->warning('A transaction of a DBAL connection was left open and rolled back.');
        }
    }
}
