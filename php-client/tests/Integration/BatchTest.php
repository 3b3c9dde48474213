<?php

declare(strict_types=1);

namespace RrPgpool\Tests\Integration;

use RrPgpool\ClientInterface;
use RrPgpool\Exception\UniqueViolation;

final class BatchTest extends ClientTestCase
{
    protected function setUp(): void
    {
        parent::setUp();
        if (!$this->client->version()->hasFeature('batch')) {
            self::markTestSkipped('the server has no ExecuteBatch');
        }
    }

    public function testEachStatementStandsForItself(): void
    {
        $table = $this->table();
        $results = $this->client->batch()
            ->add("INSERT INTO {$table} VALUES (1)")
            ->add("INSERT INTO {$table} VALUES (1)")
            ->add("INSERT INTO {$table} VALUES (\$1, \$2) RETURNING id, name", [2, 'b'])
            ->run();

        self::assertSame(1, $results[0]->rowsAffected());
        self::assertInstanceOf(UniqueViolation::class, $results[1]);
        self::assertSame(['id' => 2, 'name' => 'b'], $results[2]->fetchOne());
        self::assertSame([1, 2], $this->ids($table));
    }

    public function testAllOrNothing(): void
    {
        $table = $this->table();
        $results = $this->client->batch()
            ->add("INSERT INTO {$table} VALUES (1)")
            ->add("SELECT id FROM {$table}")
            ->runAtomic();
        self::assertSame(1, $results[1]->fetchValue());

        $batch = $this->client->batch()
            ->add("INSERT INTO {$table} VALUES (2)")
            ->add("INSERT INTO {$table} VALUES (\$1)", [1])
            ->add("INSERT INTO {$table} VALUES (3)");
        $error = $this->failure(UniqueViolation::class, $batch->runAtomic(...));
        self::assertSame(1, $error->statement());
        self::assertSame("INSERT INTO {$table} VALUES (\$1)", $error->query());
        self::assertSame([1], $this->ids($table));
    }

    public function testAllOrNothingInsideATransaction(): void
    {
        $table = $this->table();
        $this->client->transaction(function (ClientInterface $client) use ($table): void {
            $client->execute("INSERT INTO {$table} VALUES (1)");
            $batch = $client->batch()
                ->add("INSERT INTO {$table} VALUES (2)")
                ->add("INSERT INTO {$table} VALUES (1)");
            $this->failure(UniqueViolation::class, $batch->runAtomic(...));
            $client->execute("INSERT INTO {$table} VALUES (3)");
        });
        self::assertSame([1, 3], $this->ids($table));
    }

    /** @return list<int> */
    private function ids(string $table): array
    {
        return $this->client->execute("SELECT id FROM {$table} ORDER BY id")->fetchColumn();
    }
}
