<?php

declare(strict_types=1);

namespace RrPgpool\Bridge\Doctrine;

use Doctrine\DBAL\Driver\Exception;
use PDOException;
use RuntimeException;
use Throwable;

/**
 * What DBAL turns into its own exceptions, by the SQLSTATE. The message is that of pdo_pgsql.
 */
final class DriverException extends RuntimeException implements Exception
{
    /** libpq's code for all errors, which DBAL passes on. */
    private const CODE = 7;

    public function __construct(
        string $message,
        private readonly ?string $sqlstate = null,
        ?Throwable $previous = null,
    ) {
        parent::__construct($message, self::CODE, $previous);
    }

    public static function from(PDOException $error): self
    {
        return new self($error->getMessage(), $error->errorInfo[0] ?? null, $error);
    }

    public function getSQLState(): ?string
    {
        return $this->sqlstate;
    }
}
