<?php

declare(strict_types=1);

namespace RrPgpool\Bridge\Doctrine;

use Doctrine\DBAL\Driver\AbstractPostgreSQLDriver;
use Doctrine\DBAL\Driver\Connection;
use Doctrine\DBAL\ParameterType;
use PDO;
use PDOException;
use RrPgpool\Exception\PgpoolException;
use RrPgpool\Pdo\PgpoolPdo;
use RrPgpool\Pdo\PgpoolPdoException;
use RrPgpool\Transport\StreamTransport;
use SensitiveParameter;

/**
 * The driver for Doctrine DBAL 3.6 and newer, and for 4.x.
 *
 *     DriverManager::getConnection([
 *         'driverClass' => PgpoolDriver::class,
 *         'driverOptions' => [
 *             'address' => 'tcp://127.0.0.1:6002',       // absent: PGPOOL_RPC
 *             'pool' => 'primary',                       // as the pool's configuration names the database
 *             'settings' => ['search_path' => 'app'],    // PostgreSQL parameters for every statement
 *         ],
 *     ]);
 *
 * Host, user, password and database name are the pool's business; here they are ignored.
 */
final class PgpoolDriver extends AbstractPostgreSQLDriver
{
    private const OPTIONS = ['address', 'pool', 'settings'];

    /** @param array<string, mixed> $params */
    public function connect(#[SensitiveParameter] array $params): Connection
    {
        $options = $params['driverOptions'] ?? [];
        $charset = strtolower(str_replace('-', '', (string) ($params['charset'] ?? 'utf8')));
        if ($charset !== 'utf8') {
            throw new DriverException("the pool speaks UTF-8 alone; the charset was {$params['charset']}", '22023');
        }
        // Those of PDO are numbers. A misspelt address would mean the default one.
        $unknown = array_diff(array_filter(array_keys($options), is_string(...)), self::OPTIONS);
        if ($unknown !== []) {
            $known = implode(', ', self::OPTIONS);
            throw new DriverException('unknown driverOptions: ' . implode(', ', $unknown) . "; use {$known}", '22023');
        }
        $address = $options['address'] ?? '';
        try {
            $pdo = new PgpoolPdo(
                new StreamTransport($address === '' ? null : $address),
                $options['pool'] ?? 'primary',
                $options['settings'] ?? [],
                array_filter($options, is_int(...), ARRAY_FILTER_USE_KEY),
            );
        } catch (PgpoolException $error) {
            throw DriverException::from(PgpoolPdoException::from($error));
        } catch (PDOException $error) {
            throw DriverException::from($error);
        }
        // Everything here relies on exceptions.
        $pdo->setAttribute(PDO::ATTR_ERRMODE, PDO::ERRMODE_EXCEPTION);

        // Types of parameters became an enum with 4.0, and with it the signatures of the interfaces.
        return enum_exists(ParameterType::class) ? new Dbal4\Connection($pdo) : new Dbal3\Connection($pdo);
    }
}
