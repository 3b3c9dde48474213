<?php

declare(strict_types=1);

namespace RrPgpool\Pdo\Internal;

use RrPgpool\Exception\PgpoolException;
use RrPgpool\ExecuteOptions;
use RrPgpool\Internal\Executor;
use RrPgpool\IsolationLevel;
use RrPgpool\Pdo\PgpoolPdoException;
use RrPgpool\Route;
use RrPgpool\TransactionOptions;

/**
 * What a PDO object and its statements have in common: the way to the pool, settings, attributes and
 * the translations of statements.
 *
 * @internal
 */
final class Link
{
    public readonly Attributes $attributes;
    private readonly TranslationCache $translations;
    /** @var array<string, ExecuteOptions> */
    private readonly array $options;
    private ?string $serverVersion = null;

    /**
     * @param array<string, string|int|float|bool> $settings PostgreSQL parameters for every statement
     * @param Route $route where a statement goes that is in no transaction and no session
     */
    public function __construct(
        private readonly Executor $executor,
        private readonly array $settings,
        private readonly ?IsolationLevel $isolation,
        Route $route,
    ) {
        $this->attributes = new Attributes();
        $this->translations = new TranslationCache();
        $text = ExecuteOptions::TEXT;
        $this->options = [
            'alone' => new ExecuteOptions(settings: $settings, types: $text, route: $route),
            'alone, simple' => new ExecuteOptions(null, $settings, $text, true, $route),
            // A transaction or session has the settings from its beginning.
            'within' => new ExecuteOptions(types: $text),
            'within, simple' => new ExecuteOptions(types: $text, simple: true),
        ];
    }

    /** @throws PgpoolPdoException */
    public function translate(string $sql): TranslatedSql
    {
        try {
            return $this->translations->translate($sql);
        } catch (MixedPlaceholders) {
            throw PgpoolPdoException::of('HY093', 'mixed named and positional parameters');
        }
    }

    /**
     * @param list<mixed> $arguments
     * @param bool $simple whether the text may have several statements
     * @return array<string, mixed> the reply of Execute
     * @throws PgpoolPdoException
     */
    public function execute(string $sql, array $arguments = [], bool $simple = false): array
    {
        $word = $arguments === [] ? TransactionWord::of($sql) : null;
        if ($word !== null && $this->control($word)) {
            return ['rows_affected' => 0];
        }
        $scope = $this->hasConnection() ? 'within' : 'alone';
        $options = $this->options[$simple ? "{$scope}, simple" : $scope];
        try {
            return $this->executor->execute($sql, $arguments, $options);
        } catch (PgpoolException $error) {
            throw PgpoolPdoException::from($error, $sql);
        }
    }

    /** @throws PgpoolPdoException */
    public function begin(): void
    {
        $settings = $this->executor->hasSession() ? [] : $this->settings;
        $options = new TransactionOptions(isolation: $this->isolation, settings: $settings);
        $this->guard(fn () => $this->executor->begin($options));
    }

    /** @throws PgpoolPdoException */
    public function commit(): void
    {
        $this->guard(fn () => $this->executor->commit());
    }

    /** @throws PgpoolPdoException */
    public function rollBack(): void
    {
        $this->guard(fn () => $this->executor->rollbackAll());
    }

    public function inTransaction(): bool
    {
        return $this->executor->depth() > 0;
    }

    /** @throws PgpoolPdoException */
    public function openSession(): void
    {
        $this->guard(fn () => $this->executor->openSession($this->settings));
    }

    /** @throws PgpoolPdoException */
    public function closeSession(): void
    {
        $this->guard(fn () => $this->executor->closeSession());
    }

    public function hasSession(): bool
    {
        return $this->executor->hasSession();
    }

    /** Whether statements have one server connection, and so lastval(), to themselves. */
    public function hasConnection(): bool
    {
        return $this->executor->depth() > 0 || $this->executor->hasSession();
    }

    /** Whether the server has let go of the transaction or session that is open here. */
    public function isLost(): bool
    {
        return $this->executor->isLost();
    }

    /** @throws PgpoolPdoException */
    public function serverVersion(): string
    {
        return $this->serverVersion ??= $this->guard(function (): string {
            $databases = $this->executor->call('Version')['databases'] ?? [];

            // A database that was not reached at that time has no version there.
            return $databases[$this->executor->database()]
                ?? (string) $this->executor->execute('SHOW server_version')['rows'][0][0];
        });
    }

    /** @return bool whether that was all there was to do */
    private function control(TransactionWord $word): bool
    {
        if (($word === TransactionWord::Begin) === $this->inTransaction()) {
            // PostgreSQL warns, or the pool says what to use instead.
            return false;
        }
        match ($word) {
            TransactionWord::Begin => $this->begin(),
            TransactionWord::Commit => $this->commit(),
            TransactionWord::Rollback => $this->rollBack(),
        };

        return true;
    }

    /**
     * @template T
     * @param callable(): T $work
     * @return T
     * @throws PgpoolPdoException
     */
    private function guard(callable $work): mixed
    {
        try {
            return $work();
        } catch (PgpoolException $error) {
            throw PgpoolPdoException::from($error);
        }
    }
}
