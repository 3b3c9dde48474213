<?php

declare(strict_types=1);

namespace RrPgpool\Tests\Unit;

use Closure;
use PHPUnit\Framework\TestCase;
use RrPgpool\Exception\ConnectionLost;
use RrPgpool\Exception\InvalidArgument;
use RrPgpool\Exception\OutcomeUnknown;
use RrPgpool\Exception\ProtocolException;
use RrPgpool\Transport\StreamTransport;
use RuntimeException;

final class StreamTransportTest extends TestCase
{
    private ?FakeServer $server = null;

    protected function setUp(): void
    {
        if (!function_exists('pcntl_fork')) {
            self::markTestSkipped('the fake server needs ext-pcntl');
        }
    }

    protected function tearDown(): void
    {
        $this->server?->stop();
    }

    public function testARequestAndItsReply(): void
    {
        $transport = $this->transport($this->answering());
        $reply = $transport->call('Execute', ['query' => "SELECT '/é'", 'args' => [1.0, 2]], 5.0);

        self::assertSame('pgpool.Execute', $reply['method']);
        self::assertSame("SELECT '/é'", $reply['fields']['query']);
        self::assertSame([1.0, 2], $reply['fields']['args']);
        self::assertArrayNotHasKey('request_id', $reply);
        self::assertSame([1, 2], $this->place($transport), 'the same connection again');
        self::assertSame(1, $transport->generation());
    }

    public function testAnErrorReplyIsAReply(): void
    {
        $transport = $this->transport(static function ($stream, FakeCall $call): void {
            fwrite($stream, $call->answer(['error' => 'no', 'sqlstate' => '42P01']));
        });

        self::assertSame('42P01', $transport->call('Execute', [], 5.0)['sqlstate']);
    }

    public function testBigNumbersKeepTheirDigits(): void
    {
        $transport = $this->transport(static function ($stream, FakeCall $call): void {
            $id = $call->fields['request_id'];
            fwrite($stream, $call->frame("{\"request_id\":\"{$id}\",\"n\":123456789012345678901234567890}"));
        });

        self::assertSame('123456789012345678901234567890', $transport->call('Execute', [], 5.0)['n']);
    }

    public function testDeepDocumentsFit(): void
    {
        $deep = str_repeat('[', 600) . str_repeat(']', 600);
        $transport = $this->transport(static function ($stream, FakeCall $call) use ($deep): void {
            $id = $call->fields['request_id'];
            fwrite($stream, $call->frame("{\"request_id\":\"{$id}\",\"deep\":{$deep}}"));
        });

        self::assertSame($deep, json_encode($transport->call('Execute', [], 5.0)['deep'], 0, 700));
    }

    public function testLargeRequestsAndReplies(): void
    {
        $transport = $this->transport($this->answering());
        $text = str_repeat('0123456789abcdef', 200_000);

        self::assertSame($text, $transport->call('Execute', ['query' => $text], 10.0)['fields']['query']);
        self::assertSame([1, 2], $this->place($transport));
    }

    /** @dataProvider pieces */
    public function testRepliesInPieces(int $size): void
    {
        $transport = $this->transport(static function ($stream, FakeCall $call) use ($size): void {
            foreach (str_split($call->answer(), $size) as $piece) {
                fwrite($stream, $piece);
                usleep(100);
            }
        });

        self::assertSame([1, 1], $this->place($transport));
        self::assertSame([1, 2], $this->place($transport));
    }

    /** @return array<string, array{int}> */
    public static function pieces(): array
    {
        return ['bytes' => [1], 'less than a header' => [19], 'a header' => [20], 'more' => [21]];
    }

    /** @dataProvider misbehaviours */
    public function testWhatIsNoAnswerEndsTheConnection(string $text, Closure $misbehave): void
    {
        $transport = $this->transport(static function ($stream, FakeCall $call) use ($misbehave): void {
            $call->number === 1 ? $misbehave($stream, $call) : fwrite($stream, $call->answer());
        });
        try {
            $transport->call('Execute', ['query' => 'INSERT'], 0.3);
            self::fail('no exception');
        } catch (OutcomeUnknown $error) {
            self::assertSame('40003', $error->sqlstate());
            self::assertStringContainsString($text, $error->getMessage());
            // Words on which frameworks repeat a statement.
            self::assertDoesNotMatchRegularExpression('/connection|0800|broken pipe/i', $error->getMessage());
        }
        self::assertSame(2, $transport->generation());
        self::assertSame([2, 2], $this->place($transport), 'a new connection, and nothing was sent twice');
        self::assertSame([2, 3], $this->place($transport));
    }

    /** @return array<string, array{string, Closure}> */
    public static function misbehaviours(): array
    {
        return [
            'checksum' => ['wrong checksum', static function ($stream, FakeCall $call): void {
                fwrite($stream, substr_replace($call->answer(), 'XXXX', 6, 4));
            }],
            'no frame' => ['not a goridge frame', static function ($stream): void {
                fwrite($stream, "HTTP/1.1 400 Bad Request\r\n\r\n");
            }],
            'another seq' => ['belongs to request', static function ($stream, FakeCall $call): void {
                fwrite($stream, $call->frame('{}', 0x08, $call->seq + 1));
            }],
            'another request_id' => ['another request_id', static function ($stream, FakeCall $call): void {
                fwrite($stream, $call->answer(['request_id' => 'x']));
            }],
            'another codec' => ['not JSON', static function ($stream, FakeCall $call): void {
                fwrite($stream, $call->frame("\x80", 0x10));
            }],
            'broken JSON' => ['not JSON', static function ($stream, FakeCall $call): void {
                fwrite($stream, $call->frame('{"rows":'));
            }],
            'impossible lengths' => ['impossible lengths', static function ($stream): void {
                $start = "\x15\x08" . pack('V', 1);
                fwrite($stream, $start . pack('V', crc32($start)) . "\0\0" . pack('VV', 1, 2) . 'x');
            }],
            'too large' => ['more than are accepted', static function ($stream, FakeCall $call): void {
                $start = "\x15\x08" . pack('V', 0xFFFFFFFF);
                fwrite($stream, $start . pack('V', crc32($start)) . "\0\0" . pack('VV', $call->seq, 0));
            }],
            'more than a reply' => ['bytes after the reply', static function ($stream, FakeCall $call): void {
                fwrite($stream, $call->answer() . 'x');
            }],
            'end instead of a reply' => ['is that address rpc.listen', static function ($stream): void {
                fclose($stream);
            }],
            'end inside the header' => ['left without a reply', static function ($stream, FakeCall $call): void {
                fwrite($stream, substr($call->answer(), 0, 7));
                fclose($stream);
            }],
            'end inside the body' => ['left without a reply', static function ($stream, FakeCall $call): void {
                fwrite($stream, substr($call->answer(), 0, -1));
                fclose($stream);
            }],
            'no reply in time' => ['no reply within 0.3 seconds', static function ($stream, FakeCall $call): void {
                usleep(400_000);
                @fwrite($stream, $call->answer(['rows' => 'late']));
            }],
        ];
    }

    public function testAnErrorFrameIsAnAnswer(): void
    {
        $transport = $this->transport(static function ($stream, FakeCall $call): void {
            $method = $call->method;
            $frame = $method === 'pgpool.Nonsense'
                ? $call->frame("rpc: can't find method {$method}", 0x48)
                : $call->answer();
            fwrite($stream, $frame);
        });
        try {
            $transport->call('Nonsense', [], 5.0);
            self::fail('no exception');
        } catch (ProtocolException $error) {
            self::assertSame("rpc: can't find method pgpool.Nonsense", $error->getMessage());
        }
        self::assertSame([1, 2], $this->place($transport), 'a transaction would have survived it');
    }

    /**
     * select(2) takes no descriptor beyond 1023, and a process may have as many.
     *
     * @testWith [0]
     *           [1100]
     */
    public function testAServerThatWentAwayMeanwhileIsNoticedBeforeAnythingIsSent(int $count): void
    {
        $closed = sys_get_temp_dir() . '/pgpool-closed-' . bin2hex(random_bytes(6));
        $transport = $this->transport(static function ($stream, FakeCall $call) use ($closed): void {
            fwrite($stream, $call->answer());
            if ($call->number === 3) {
                fclose($stream);
                touch($closed);
            }
        });
        // The server has been forked, and this process has no socket yet.
        $files = $this->openFiles($count);

        self::assertSame([1, 1], $this->place($transport));
        // Within a millisecond of a reply the transport does not look.
        usleep(2000);
        self::assertSame([1, 2], $this->place($transport));
        usleep(2000);
        self::assertSame([1, 3], $this->place($transport));
        for ($deadline = microtime(true) + 20; !file_exists($closed); usleep(1000), clearstatcache()) {
            self::assertLessThan($deadline, microtime(true), 'the server has not closed it');
        }
        unlink($closed);
        usleep(2000);
        self::assertSame([2, 4], $this->place($transport));
        self::assertSame(2, $transport->generation());
        array_map(fclose(...), $files);
    }

    public function testCloseAndConnectAgain(): void
    {
        $transport = $this->transport($this->answering());
        self::assertSame([1, 1], $this->place($transport));
        $transport->close();
        $transport->close();
        self::assertSame(2, $transport->generation());
        self::assertSame([2, 2], $this->place($transport));
    }

    public function testNobodyListens(): void
    {
        $transport = new StreamTransport('unix:///nonexistent/pgpool.sock', 0.1);
        foreach ([0.09, 0.0] as $least) {
            $started = microtime(true);
            try {
                $transport->call('Execute', [], 5.0);
                self::fail('no exception');
            } catch (ConnectionLost $error) {
                self::assertSame('08001', $error->sqlstate());
                self::assertStringContainsString('/nonexistent/pgpool.sock', $error->getMessage());
            }
            // Once it has waited in vain, it tries once a call for a while.
            self::assertGreaterThanOrEqual($least, microtime(true) - $started + 0.05);
        }
        self::assertLessThan(0.05, microtime(true) - $started);
    }

    public function testItWaitsForAServerThatStarts(): void
    {
        $this->server = (new FakeServer($this->answering()))->start(0.3);
        $transport = new StreamTransport($this->server->address, 5.0);

        self::assertSame([1, 1], $this->place($transport));
    }

    public function testAForkedProcessHasAConnectionOfItsOwn(): void
    {
        $transport = $this->transport($this->answering());
        self::assertSame([1, 1], $this->place($transport));
        [$reader, $writer] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
        $pid = pcntl_fork();
        if ($pid === 0) {
            $seen = [$transport->generation(), ...$this->place($transport), $transport->generation()];
            fwrite($writer, json_encode($seen) . "\n");
            posix_kill(posix_getpid(), SIGKILL);
        }
        self::assertSame("[2,2,2,2]\n", fgets($reader));
        pcntl_waitpid($pid, $status);

        self::assertSame([1, 3], $this->place($transport), "the parent's connection is what it was");
        self::assertSame(1, $transport->generation());
    }

    public function testASignalHandlerMayCallMeanwhile(): void
    {
        $transport = $this->transport($this->interrupting());
        $inner = null;
        $this->onSignal(function () use ($transport, &$inner): void {
            $inner = $this->place($transport);
        });

        self::assertSame([1, 1], $this->place($transport));
        self::assertSame([2, 2], $inner);
        self::assertSame([1, 3], $this->place($transport));
        self::assertSame(1, $transport->generation());
    }

    public function testAnExceptionOutOfASignalHandlerEndsTheConnection(): void
    {
        $transport = $this->transport($this->interrupting());
        $this->onSignal(static function (): void {
            throw new RuntimeException('interrupted');
        });
        try {
            $transport->call('Execute', [], 5.0);
            self::fail('no exception');
        } catch (RuntimeException $error) {
            self::assertSame('interrupted', $error->getMessage());
        }
        self::assertSame([2, 2], $this->place($transport));
        self::assertSame(2, $transport->generation());
    }

    public function testWhenTheInnerCallFailsTheOuterOneStillGetsItsReply(): void
    {
        $transport = $this->transport($this->interrupting(static function ($stream, FakeCall $call): void {
            fwrite($stream, 'nonsense, but long enough for a header');
        }));
        $this->onSignal(function () use ($transport): void {
            try {
                $transport->call('Execute', [], 5.0);
            } catch (OutcomeUnknown) {
                return;
            }
            self::fail('no exception');
        });

        self::assertSame([1, 1], $this->place($transport));
        // All connections of the old generation are gone, so that nothing can stay open through them.
        self::assertSame(2, $transport->generation());
        self::assertSame([3, 3], $this->place($transport));
    }

    public function testInvalidText(): void
    {
        $this->expectException(InvalidArgument::class);
        $this->expectExceptionMessage('cannot be written as JSON');
        (new StreamTransport('tcp://127.0.0.1:1'))->call('Execute', ['query' => "\xff"], 1.0);
    }

    public function testAddresses(): void
    {
        putenv('PGPOOL_RPC=unix:///nonexistent/from-env');
        try {
            (new StreamTransport(connectTimeout: 0.0))->call('Execute', [], 1.0);
            self::fail('no exception');
        } catch (ConnectionLost $error) {
            self::assertStringContainsString('from-env', $error->getMessage());
        } finally {
            putenv('PGPOOL_RPC');
        }
        $this->expectException(InvalidArgument::class);
        new StreamTransport('127.0.0.1:6002');
    }

    /** @return list<resource> */
    private function openFiles(int $count): array
    {
        $files = [];
        while (count($files) < $count) {
            $file = @fopen('/dev/null', 'r');
            if ($file === false) {
                unset($files);
                self::markTestSkipped("this process may not have {$count} files open");
            }
            $files[] = $file;
        }

        return $files;
    }

    private function transport(Closure $handler): StreamTransport
    {
        $this->server = (new FakeServer($handler))->start();

        return new StreamTransport($this->server->address, 2.0);
    }

    private function answering(): Closure
    {
        return static function ($stream, FakeCall $call): void {
            fwrite($stream, $call->answer());
        };
    }

    /** Sends a signal in the middle of the first reply. */
    private function interrupting(?Closure $second = null): Closure
    {
        $parent = posix_getpid();
        $second ??= $this->answering();
        $pending = null;

        return static function ($stream, FakeCall $call) use ($parent, $second, &$pending): void {
            if ($call->number === 1) {
                $pending = [$stream, substr($call->answer(), 30)];
                posix_kill($parent, SIGUSR1);
                usleep(20_000);
                // The other side may have closed it already; a notice would end this server.
                @fwrite($stream, substr($call->answer(), 0, 30));
                if (pcntl_fork() === 0) {
                    // The rest comes while the inner call is in flight, or after it.
                    usleep(200_000);
                    @fwrite(...$pending);
                    posix_kill(posix_getpid(), SIGKILL);
                }
            } else {
                $call->number === 2 ? $second($stream, $call) : fwrite($stream, $call->answer());
            }
        };
    }

    private function onSignal(Closure $handler): void
    {
        pcntl_async_signals(true);
        pcntl_signal(SIGUSR1, static function () use ($handler): void {
            pcntl_signal(SIGUSR1, SIG_DFL);
            $handler();
        });
    }

    /** @return array{int, int} connection and number of a call, as the server counts them */
    private function place(StreamTransport $transport): array
    {
        $reply = $transport->call('Execute', ['query' => 'SELECT 1'], 5.0);

        return [$reply['connection'], $reply['number']];
    }
}
