<?php

declare(strict_types=1);

namespace RrPgpool\Pdo\Internal;

use PDO;
use PDOException;
use RrPgpool\Pdo\PgpoolPdoException;

/**
 * The last outcome on a PDO object or a statement, and how a failure is made known.
 *
 * @internal
 */
final class ErrorState
{
    private const SUCCESS = '00000';

    private ?string $sqlstate = null;
    /** @var array{string, int|null, string|null} */
    private array $info = ['', null, null];

    public function succeed(): void
    {
        $this->sqlstate = self::SUCCESS;
        $this->info = [self::SUCCESS, null, null];
    }

    public function sqlstate(): ?string
    {
        return $this->sqlstate;
    }

    /** @return array{string, int|null, string|null} */
    public function info(): array
    {
        return $this->info;
    }

    /**
     * Keeps the failure and throws it, warns or stays silent, as PDO::ATTR_ERRMODE says.
     *
     * @param string $function the method that failed, for a warning
     * @return false for the method to return
     * @throws PDOException
     */
    public function fail(PgpoolPdoException $error, int $mode, string $function): bool
    {
        $this->sqlstate = (string) $error->getCode();
        $this->info = $error->errorInfo;
        if ($mode === PDO::ERRMODE_EXCEPTION) {
            throw $error;
        }
        if ($mode === PDO::ERRMODE_WARNING) {
            trigger_error("{$function}(): {$error->getMessage()}", E_USER_WARNING);
        }

        return false;
    }
}
