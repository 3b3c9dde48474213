<?php

declare(strict_types=1);

namespace RrPgpool\Tests;

use RrPgpool\Tests\Bridge\Frameworks;
use RuntimeException;

/**
 * Laravel and Doctrine as they are, with their stock settings, through the PostgreSQL door: 50 worker
 * processes at a time on 5 server connections in transaction mode. Every second worker is a tenant with a
 * search_path and a time zone of its own, so that equal statements mean different tables.
 */
final class FrameworksTest extends PdoTestCase
{
    private const DATABASE = 'frameworks';
    private const WORKERS = 50;
    private const SERVERS = 5;
    private const ROUNDS = 6;
    /** Seconds for all of it, on a busy machine. */
    private const PATIENCE = 60.0;

    /** @var array<int, resource> processes by worker */
    private array $processes = [];
    /** @var array<int, resource> */
    private array $inputs = [];
    /** @var array<int, resource> */
    private array $outputs = [];

    public static function setUpBeforeClass(): void
    {
        require_once __DIR__ . '/../../php-client/tests/Bridge/Frameworks.php';
    }

    protected function tearDown(): void
    {
        foreach ($this->processes as $process) {
            proc_terminate($process, 9);
            proc_close($process);
        }
    }

    public function testManyWorkersOnFewConnections(): void
    {
        foreach (['Illuminate\Database\Connection', 'Doctrine\DBAL\Connection'] as $class) {
            $missing = Frameworks::missing($class);
            if ($missing !== null) {
                self::markTestSkipped($missing);
            }
        }
        $this->createTables();
        for ($number = 0; $number < self::WORKERS; ++$number) {
            $this->start($number, $number % 4 < 2 ? 'laravel' : 'doctrine');
        }
        foreach ($this->lines() as $number => $line) {
            self::assertSame('ready', $line, "worker {$number}");
        }
        // All of them are connected now, and start together.
        foreach ($this->inputs as $input) {
            fwrite($input, "go\n");
        }
        $servers = [];
        $moves = 0;
        $kept = ['public' => 0, 'tenant' => 0];
        foreach ($this->lines() as $number => $line) {
            $result = json_decode($line, true);
            self::assertIsArray($result, "worker {$number}: {$line}");
            $servers += array_fill_keys($result['servers'], true);
            $moves += count($result['servers']) - 1;
            $kept[$number % 2 === 1 ? 'tenant' : 'public'] += $result['kept'];
        }
        self::assertLessThanOrEqual(self::SERVERS, count($servers));
        self::assertGreaterThan(self::WORKERS, $moves, 'workers have stayed on their server connections');
        $this->assertNothingIsLost($kept);
    }

    private function createTables(): void
    {
        $pdo = $this->connect(self::DATABASE);
        $pdo->exec('CREATE SCHEMA IF NOT EXISTS tenant');
        foreach (['public', 'tenant'] as $schema) {
            $pdo->exec("DROP TABLE IF EXISTS {$schema}.framework_ledger, {$schema}.framework_counter");
            $pdo->exec("CREATE TABLE {$schema}.framework_ledger (id serial PRIMARY KEY, worker int NOT NULL, "
                . 'amount numeric(10, 2) NOT NULL, note text NOT NULL, done bool NOT NULL)');
            $pdo->exec("CREATE TABLE {$schema}.framework_counter (n int NOT NULL)");
            $pdo->exec("INSERT INTO {$schema}.framework_counter VALUES (0)");
        }
    }

    private function start(int $number, string $framework): void
    {
        preg_match('/^host=(.*);port=(\d+)$/', Servers::proxy(), $door);
        $command = [
            PHP_BINARY, __DIR__ . '/frameworks/worker.php', $framework, $door[1], $door[2],
            (string) $number, (string) self::ROUNDS,
        ];
        $process = proc_open($command, [['pipe', 'r'], ['pipe', 'w'], ['redirect', 1]], $pipes);
        if ($process === false) {
            throw new RuntimeException('cannot start a worker');
        }
        stream_set_blocking($pipes[1], false);
        [$this->processes[$number], $this->inputs[$number], $this->outputs[$number]] = [$process, ...$pipes];
    }

    /** @return array<int, string> the next line of each worker, or all it has written when it has ended */
    private function lines(): array
    {
        $deadline = microtime(true) + self::PATIENCE;
        $texts = array_fill_keys(array_keys($this->outputs), '');
        $waiting = $this->outputs;
        while ($waiting !== []) {
            $seconds = $deadline - microtime(true);
            if ($seconds <= 0) {
                self::fail('workers hang: ' . implode(', ', array_keys($waiting)));
            }
            [$readable, $none] = [$waiting, null];
            stream_select($readable, $none, $none, (int) ceil($seconds));
            foreach ($readable as $number => $output) {
                $texts[$number] .= (string) fread($output, 65536);
                // An error has several lines, and then the end.
                if (feof($output) || preg_match('/^(ready|\{.*\})\n$/', $texts[$number]) === 1) {
                    unset($waiting[$number]);
                }
            }
        }

        return array_map(rtrim(...), $texts);
    }

    /** @param array<string, int> $kept rows that the workers count, by schema */
    private function assertNothingIsLost(array $kept): void
    {
        $pdo = $this->connect(self::DATABASE);
        foreach ($kept as $schema => $rows) {
            $workers = self::WORKERS / 2;
            $sql = "SELECT count(*), sum(amount), count(DISTINCT worker) FROM {$schema}.framework_ledger";
            $totals = array_map(strval(...), $pdo->query($sql)->fetch(\PDO::FETCH_NUM));
            self::assertSame([(string) $rows, '0.00', (string) $workers], $totals, $schema);
            $counter = $this->value($pdo, "SELECT n FROM {$schema}.framework_counter");
            self::assertSame($workers * self::ROUNDS, (int) $counter, $schema);
        }
    }
}
