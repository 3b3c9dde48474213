<?php

declare(strict_types=1);

namespace RrPgpool;

use Psr\Log\LoggerInterface;
use RrPgpool\Exception\InvalidArgument;
use RrPgpool\Exception\PgpoolException;
use RrPgpool\Internal\CursorRows;
use RrPgpool\Internal\Executor;
use RrPgpool\Internal\Executors;
use RrPgpool\Internal\TransactionRunner;
use RrPgpool\Transport\StreamTransport;

/**
 * The client. One per process is enough; its clones share its transport.
 */
final class Client implements ClientInterface
{
    /** The server's own limit. */
    private const MAX_CHUNK = 1_000_000;

    private readonly Executors $executors;
    private Executor $executor;
    /** Null while everything is at its default. */
    private ?ExecuteOptions $options = null;

    /**
     * @param LoggerInterface|null $logger for reset()
     * @param float $replyTimeout seconds to wait for a reply where withTimeout() sets no limit; more
     *     than the server's behavior.query_timeout, since a reply that comes later is lost
     */
    public function __construct(
        Transport $transport,
        string $database = 'primary',
        ?QueryObserver $observer = null,
        private readonly ?LoggerInterface $logger = null,
        float $replyTimeout = Executor::REPLY_TIMEOUT,
    ) {
        $this->executors = new Executors($transport, $observer, $replyTimeout);
        $this->executor = $this->executors->of($database);
    }

    /**
     * A client over the built-in transport.
     *
     * @param string|null $address tcp://host:port or unix:///path; else the environment's PGPOOL_RPC,
     *     else tcp://127.0.0.1:6002
     */
    public static function create(
        ?string $address = null,
        string $database = 'primary',
        ?QueryObserver $observer = null,
        ?LoggerInterface $logger = null,
    ): self {
        return new self(new StreamTransport($address), $database, $observer, $logger);
    }

    public function execute(string $sql, array $args = []): Result
    {
        return new Result($this->executor->execute($sql, $args, $this->options));
    }

    public function transaction(callable $work, ?TransactionOptions $options = null): mixed
    {
        return (new TransactionRunner($this->executor))->run(
            fn (): mixed => $work($this),
            $this->transactionOptions($options),
            $options->retries ?? 0,
        );
    }

    public function begin(?TransactionOptions $options = null): void
    {
        $this->executor->begin($this->transactionOptions($options));
    }

    public function commit(): void
    {
        $this->executor->commit();
    }

    public function rollback(): void
    {
        $this->executor->rollback();
    }

    public function inTransaction(): bool
    {
        return $this->executor->depth() > 0;
    }

    public function session(callable $work, array $settings = []): mixed
    {
        if ($this->executor->hasSession()) {
            if ($settings !== []) {
                throw new InvalidArgument('a session inside a session has no settings of its own', '22023');
            }

            return $work($this);
        }
        $this->executor->openSession($settings + ($this->options?->settings ?? []));
        try {
            return $work($this);
        } finally {
            $this->executor->closeSession();
        }
    }

    public function batch(): Batch
    {
        return new Batch($this->executor, $this->options);
    }

    public function stream(string $sql, array $args = [], int $chunk = 1000): iterable
    {
        if ($chunk < 1 || $chunk > self::MAX_CHUNK) {
            throw new InvalidArgument('a chunk has 1 to ' . self::MAX_CHUNK . " rows, not {$chunk}", '22023');
        }

        return CursorRows::of($this->executor, $sql, $args, $this->options, $chunk);
    }

    public function stats(): array
    {
        $reply = $this->executor->call('PoolStats', ['database' => '*']);

        return array_map(PoolStats::fromReply(...), $reply['stats']);
    }

    public function topQueries(int $limit = 20, string $order = 'total'): array
    {
        if ($limit < 1) {
            throw new InvalidArgument("limit is {$limit}: give a number from 1 to 1000", '22023');
        }
        $request = ['database' => '*', 'limit' => $limit, 'order' => $order];
        $reply = $this->executor->call('TopQueries', $request);

        return array_map(TopQuery::fromReply(...), $reply['queries']);
    }

    public function health(): Health
    {
        $reply = $this->executor->call('HealthCheck', ['database' => '*']);

        return new Health($reply['health'], $reply['errors'] ?? []);
    }

    public function version(): Version
    {
        $reply = $this->executor->call('Version');

        return new Version($reply['version'], $reply['features'], $reply['databases'] ?? []);
    }

    public function withDatabase(string $database): static
    {
        $client = clone $this;
        $client->executor = $this->executors->of($database);

        return $client;
    }

    public function withTimeout(?int $milliseconds): static
    {
        $client = clone $this;
        $client->options = ($this->options ?? new ExecuteOptions())->withTimeoutMs($milliseconds);

        return $client;
    }

    public function withSettings(array $settings): static
    {
        $client = clone $this;
        $client->options = ($this->options ?? new ExecuteOptions())->withSettings($settings);

        return $client;
    }

    public function withRoute(Route $route): static
    {
        $client = clone $this;
        $client->options = ($this->options ?? new ExecuteOptions())->withRoute($route);

        return $client;
    }

    public function withCache(?int $milliseconds = null): static
    {
        $client = clone $this;
        $client->options = ($this->options ?? new ExecuteOptions())->withCacheTtlMs($milliseconds ?? -1);

        return $client;
    }

    public function reset(): void
    {
        foreach ($this->executors->all() as $database => $executor) {
            if ($executor->closeCursors()) {
                $this->logger?->warning('rr-pgpool: a stream was left open, and is closed now', [
                    'database' => $database,
                ]);
            }
            $what = $executor->hasSession() ? 'session' : 'transaction';
            if ($what === 'transaction' && $executor->depth() === 0) {
                continue;
            }
            $context = ['database' => $database, 'depth' => $executor->depth()];
            try {
                $executor->hasSession() ? $executor->closeSession() : $executor->rollbackAll();
                $this->logger?->warning("rr-pgpool: a {$what} was left open, and is rolled back now", $context);
            } catch (PgpoolException $error) {
                $this->logger?->error(
                    "rr-pgpool: a {$what} was left open, and could not be rolled back",
                    $context + ['exception' => $error],
                );
            }
        }
    }

    /**
     * The client's own settings hold for the whole transaction, so that no statement has to set them, and
     * its route is where it is opened.
     */
    private function transactionOptions(?TransactionOptions $options): ?TransactionOptions
    {
        if ($this->options === null || $this->executor->depth() > 0 || $this->executor->hasSession()) {
            return $options;
        }

        return ($options ?? new TransactionOptions())
            ->withDefaults($this->options->settings, $this->options->route);
    }
}
