<?php

declare(strict_types=1);

namespace RrPgpool\Pdo;

use PDO;
use PDOException;
use PDOStatement;
use RrPgpool\Exception\PgpoolException;
use RrPgpool\Internal\Executor;
use RrPgpool\IsolationLevel;
use RrPgpool\Pdo\Internal\ErrorState;
use RrPgpool\Pdo\Internal\FetchMode;
use RrPgpool\Pdo\Internal\Link;
use RrPgpool\Pdo\Internal\Quoting;
use RrPgpool\QueryObserver;
use RrPgpool\Route;
use RrPgpool\Transport;
use RrPgpool\Transport\StreamTransport;
use SensitiveParameter;
use ValueError;

/**
 * A PDO object, for whatever asks for one, that executes its statements through rr-pgpool. It behaves
 * like one of pdo_pgsql; where a pool makes a difference, its errors name the remedy.
 *
 * The constructor of PDO is never called: there is no connection of its own underneath. So every
 * public method is overridden here.
 */
class PgpoolPdo extends PDO
{
    private const CLIENT_VERSION = 'rr-pgpool';
    private const UNSUPPORTED = 'IM001';
    private const TYPES_OF_CURSOR = 'a scrollable cursor is not available with rr-pgpool; fetch the rows '
        . 'and go through them as often as you like';
    private const NO_LAST_ID = 'lastInsertId() is not available here: the next statement may run on another '
        . 'connection. Use INSERT ... RETURNING, a transaction, or openSession()';

    private readonly Link $link;
    private readonly ErrorState $errors;

    /**
     * @param array<string, string|int|float|bool> $settings PostgreSQL parameters, such as search_path
     *     or TimeZone, that hold for every statement; what would be SET with a connection of one's own
     * @param array<int, mixed> $options attributes of PDO
     * @param IsolationLevel|null $isolation of transactions; null: PostgreSQL's default
     * @param QueryObserver|null $observer is told of every statement
     * @param Route $route which server executes statements outside transactions and sessions
     */
    public function __construct(
        Transport $transport,
        string $database = 'primary',
        array $settings = [],
        array $options = [],
        ?IsolationLevel $isolation = null,
        ?QueryObserver $observer = null,
        Route $route = Route::Auto,
    ) {
        $this->link = new Link(new Executor($transport, $database, $observer), $settings, $isolation, $route);
        $this->errors = new ErrorState();
        foreach ($options as $attribute => $value) {
            $this->link->attributes->set($attribute, $value);
        }
    }

    /** A transaction that nobody will commit any more must not hold a server connection. */
    public function __destruct()
    {
        try {
            $this->reset();
        } catch (PDOException) {
            // The pool does the same when the connection to it ends.
        }
    }

    /**
     * A facade with a connection to the pool of its own.
     *
     * @param string|null $address tcp://host:port or unix:///path; '' or null: that of PGPOOL_RPC,
     *     else tcp://127.0.0.1:6002
     * @param string|null $database a database of the pool's configuration; null: primary
     * @param array<string, string|int|float|bool>|null $settings see the constructor. (A string is
     *     the password of PDO::connect(), which is why the type has it; it is refused.)
     * @param array<int, mixed>|null $options attributes of PDO
     */
    public static function connect(
        ?string $address = null,
        ?string $database = null,
        #[SensitiveParameter] array|string|null $settings = null,
        ?array $options = null,
    ): static {
        if (is_string($settings)) {
            throw new ValueError('PgpoolPdo::connect() takes settings, not a password: the pool logs in');
        }
        try {
            $transport = new StreamTransport($address === '' ? null : $address);
        } catch (PgpoolException $error) {
            throw PgpoolPdoException::from($error);
        }

        return new static($transport, $database ?? 'primary', $settings ?? [], $options ?? []);
    }

    /** @param array<int, mixed> $options PDO::ATTR_CURSOR for forward reading is all there is */
    public function prepare(string $query, array $options = []): PDOStatement|false
    {
        if ($query === '') {
            throw new ValueError('PDO::prepare(): Argument #1 ($query) cannot be empty');
        }
        try {
            if (($options[PDO::ATTR_CURSOR] ?? PDO::CURSOR_FWDONLY) !== PDO::CURSOR_FWDONLY) {
                throw PgpoolPdoException::refused('0A000', self::TYPES_OF_CURSOR);
            }
            if (isset($options[PDO::ATTR_STATEMENT_CLASS])) {
                $this->link->attributes->set(PDO::ATTR_STATEMENT_CLASS, $options[PDO::ATTR_STATEMENT_CLASS]);
            }
            $statement = new PgpoolStatement($this, $this->link, $query, $this->link->translate($query));
        } catch (PgpoolPdoException $error) {
            return $this->fail($error, 'prepare');
        }
        $this->errors->succeed();

        return $statement;
    }

    public function query(string $query, ?int $fetchMode = null, mixed ...$fetchModeArgs): PDOStatement|false
    {
        if ($query === '') {
            throw new ValueError('PDO::query(): Argument #1 ($query) cannot be empty');
        }
        $mode = $fetchMode === null
            ? null
            : FetchMode::forStatement($fetchMode, array_values($fetchModeArgs), 'PDO::query', 2);
        try {
            $translated = $this->link->translate($query);
            $statement = new PgpoolStatement($this, $this->link, $query, $translated, $mode);
            $statement->executeFor($this->link->execute($translated->sql));
        } catch (PgpoolPdoException $error) {
            return $this->fail($error, 'query');
        }
        $this->errors->succeed();

        return $statement;
    }

    /** Executes one or several statements, and returns what the last one counts. */
    public function exec(string $statement): int|false
    {
        if ($statement === '') {
            throw new ValueError('PDO::exec(): Argument #1 ($statement) cannot be empty');
        }
        try {
            $reply = $this->link->execute($statement, [], true);
        } catch (PgpoolPdoException $error) {
            return $this->fail($error, 'exec');
        }
        $this->errors->succeed();

        return isset($reply['columns']) ? 0 : (int) $reply['rows_affected'];
    }

    public function beginTransaction(): bool
    {
        if ($this->link->inTransaction()) {
            throw new PDOException('There is already an active transaction');
        }

        return $this->perform($this->link->begin(...), 'beginTransaction');
    }

    /**
     * Unlike with pdo_pgsql, committing a transaction in which a statement has failed is an error
     * (25P02): it was rolled back.
     */
    public function commit(): bool
    {
        if (!$this->link->inTransaction()) {
            throw new PDOException('There is no active transaction');
        }

        return $this->perform($this->link->commit(...), 'commit');
    }

    public function rollBack(): bool
    {
        if (!$this->link->inTransaction()) {
            throw new PDOException('There is no active transaction');
        }

        return $this->perform($this->link->rollBack(...), 'rollBack');
    }

    public function inTransaction(): bool
    {
        return $this->link->inTransaction();
    }

    /**
     * Reserves a server connection: for SET, temporary tables, advisory locks, lastInsertId() outside
     * a transaction. It ends with closeSession(), with reset(), or with this object.
     */
    public function openSession(): bool
    {
        return $this->perform($this->link->openSession(...), 'openSession');
    }

    public function closeSession(): bool
    {
        return $this->perform($this->link->closeSession(...), 'closeSession');
    }

    public function hasSession(): bool
    {
        return $this->link->hasSession();
    }

    /**
     * Rolls back the transaction that is open and ends the session: for the end of a request.
     *
     * @return bool whether a transaction was open
     */
    public function reset(): bool
    {
        $open = $this->link->inTransaction();
        if ($open) {
            $this->perform($this->link->rollBack(...), 'reset');
        }
        if ($this->link->hasSession()) {
            $this->perform($this->link->closeSession(...), 'reset');
        }

        return $open;
    }

    public function lastInsertId(?string $name = null): string|false
    {
        try {
            if (!$this->link->hasConnection()) {
                throw PgpoolPdoException::refused('55000', self::NO_LAST_ID);
            }
            $reply = $name === null
                ? $this->link->execute('SELECT LASTVAL()')
                : $this->link->execute('SELECT CURRVAL($1)', [$name]);
        } catch (PgpoolPdoException $error) {
            return $this->fail($error, 'lastInsertId');
        }
        $this->errors->succeed();

        return (string) $reply['rows'][0][0];
    }

    public function quote(string $string, int $type = PDO::PARAM_STR): string|false
    {
        return Quoting::quote($string, $type);
    }

    public function errorCode(): ?string
    {
        return $this->errors->sqlstate();
    }

    /** @return array{string, int|null, string|null} */
    public function errorInfo(): array
    {
        return $this->errors->info();
    }

    public function setAttribute(int $attribute, mixed $value): bool
    {
        try {
            return $this->link->attributes->set($attribute, $value);
        } catch (PgpoolPdoException $error) {
            return $this->fail($error, 'setAttribute');
        }
    }

    public function getAttribute(int $attribute): mixed
    {
        try {
            return match ($attribute) {
                PDO::ATTR_DRIVER_NAME => 'pgsql',
                PDO::ATTR_SERVER_VERSION => $this->link->serverVersion(),
                PDO::ATTR_CLIENT_VERSION => self::CLIENT_VERSION,
                PDO::ATTR_SERVER_INFO => "rr-pgpool; PostgreSQL {$this->link->serverVersion()}",
                PDO::ATTR_CONNECTION_STATUS => $this->link->isLost()
                    ? 'Connection bad; rolled back by the server.'
                    : 'Connection OK; waiting to send.',
                PDO::ATTR_PERSISTENT => false,
                PDO::ATTR_STATEMENT_CLASS => [PgpoolStatement::class],
                default => $this->link->attributes->get($attribute) ?? throw PgpoolPdoException::of(
                    self::UNSUPPORTED,
                    'driver does not support that attribute',
                ),
            };
        } catch (PgpoolPdoException $error) {
            return $this->fail($error, 'getAttribute');
        }
    }

    /** @return list<string> */
    public static function getAvailableDrivers(): array
    {
        return ['pgsql'];
    }

    /** @param callable(): void $work */
    private function perform(callable $work, string $function): bool
    {
        try {
            $work();
        } catch (PgpoolPdoException $error) {
            return $this->fail($error, $function);
        }
        $this->errors->succeed();

        return true;
    }

    private function fail(PgpoolPdoException $error, string $function): bool
    {
        return $this->errors->fail($error, $this->link->attributes->errorMode(), "PDO::{$function}");
    }
}
