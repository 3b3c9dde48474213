<?php

declare(strict_types=1);

namespace RrPgpool\Tests\Unit;

use PHPUnit\Framework\TestCase;
use ReflectionClassConstant;
use RrPgpool\Client;
use RrPgpool\Exception\PgpoolException;
use RrPgpool\Internal\Remedies;
use RrPgpool\Pdo\PgpoolPdo;
use RrPgpool\Transport\FakeTransport;

final class RemediesTest extends TestCase
{
    private const SERVER = 'LISTEN needs a session: begin one with SessionBegin';

    public function testAnExceptionNamesTheClient(): void
    {
        $client = new Client((new FakeTransport())->willFail('0A000', self::SERVER));
        try {
            $client->execute('LISTEN a');
            self::fail('no exception');
        } catch (PgpoolException $error) {
            self::assertSame('LISTEN needs a session: use $client->session(...)', $error->getMessage());
        }
    }

    public function testAPdoExceptionNamesThePdoObject(): void
    {
        $pdo = new PgpoolPdo((new FakeTransport())->willFail('0A000', self::SERVER));
        try {
            $pdo->exec('LISTEN a');
            self::fail('no exception');
        } catch (\PDOException $error) {
            self::assertSame(
                'ERROR:  LISTEN needs a session: use $pdo->openSession()',
                $error->errorInfo[2],
            );
        }
    }

    public function testALongerRemedyIsNotTakenForAShorterOne(): void
    {
        $server = 'x: begin one with SessionBegin, or a transaction with TransactionBegin';
        self::assertSame('x: use $client->session(...) or $client->transaction(...)', Remedies::forClient($server));
        self::assertSame(
            'x: use $pdo->openSession() or $pdo->beginTransaction()',
            Remedies::forPdo(Remedies::forClient($server)),
        );
    }

    public function testAnyOtherMessageStaysAsItIs(): void
    {
        $message = 'relation "SessionBegin" does not exist: $client->session()';
        self::assertSame($message, Remedies::forClient($message));
        self::assertSame($message, Remedies::forPdo($message));
    }

    public function testEveryRemedyHasItsOwnWordsForBoth(): void
    {
        $table = (new ReflectionClassConstant(Remedies::class, 'TABLE'))->getValue();
        $server = array_column($table, 0);
        $client = array_column($table, 1);
        self::assertSame(array_unique($server), $server);
        self::assertSame(array_unique($client), $client);
        foreach ($table as [$server, $client, $pdo]) {
            self::assertSame($client, Remedies::forClient($server));
            self::assertSame($pdo, Remedies::forPdo($client));
        }
    }
}
