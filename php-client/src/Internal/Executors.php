<?php

declare(strict_types=1);

namespace RrPgpool\Internal;

use RrPgpool\QueryObserver;
use RrPgpool\Transport;

/**
 * The executors of a client and its clones: one for each database.
 *
 * @internal
 */
final class Executors
{
    /** @var array<string, Executor> */
    private array $executors = [];

    /** @param float $replyTimeout seconds, see Executor */
    public function __construct(
        private readonly Transport $transport,
        private readonly ?QueryObserver $observer,
        private readonly float $replyTimeout,
    ) {
    }

    public function of(string $database): Executor
    {
        return $this->executors[$database]
            ??= new Executor($this->transport, $database, $this->observer, $this->replyTimeout);
    }

    /** @return array<string, Executor> those that were used, by database */
    public function all(): array
    {
        return $this->executors;
    }
}
