<?php

declare(strict_types=1);

namespace RrPgpool\Example;

/**
 * A small goridge RPC client without dependencies, for examples and tests. One call at a time, over
 * TCP or a Unix socket, with JSON or (given ext-msgpack) MessagePack bodies. It checks the checksum
 * and the sequence number of every reply.
 */
final class GoridgeClient
{
    public const JSON = 0x08;
    public const MSGPACK = 0x10;

    private const ERROR = 0x40;
    /** Version 1 and a header of five 32-bit words: twelve fixed bytes and two options. */
    private const FIRST_BYTE = 0x15;
    private const HEADER_SIZE = 20;

    /** @var resource */
    private $stream;
    private int $seq = 0;

    /**
     * @param string $address tcp://host:port or unix:///path
     * @param int $codec self::JSON or self::MSGPACK
     * @param float $timeout seconds to connect, and to wait for a reply
     */
    public function __construct(
        string $address,
        private readonly int $codec = self::JSON,
        float $timeout = 60.0,
    ) {
        $context = stream_context_create(['socket' => ['tcp_nodelay' => true]]);
        $stream = @stream_socket_client(
            $address,
            $code,
            $message,
            $timeout,
            STREAM_CLIENT_CONNECT,
            $context,
        );
        if ($stream === false) {
            throw new GoridgeException("cannot connect to {$address}: {$message}");
        }
        stream_set_timeout($stream, (int) $timeout, (int) (fmod($timeout, 1.0) * 1e6));
        $this->stream = $stream;
    }

    /**
     * Calls a method such as `pgpool.Execute` and returns the decoded reply.
     *
     * @param array<string, mixed> $params
     * @return array<string, mixed>
     * @throws GoridgeException when there is no reply, or an ERROR frame; its message is the text
     */
    public function call(string $method, array $params = []): array
    {
        $seq = $this->seq = ($this->seq + 1) & 0xFFFFFFFF;
        $this->write($this->request($method, $this->encode($params), $seq));
        $header = $this->read(self::HEADER_SIZE);
        $parts = unpack('Cfirst/Cflags/Vlength/Vcrc/vstream/Vseq/Vmethod', $header);
        if ($parts === false || $parts['first'] !== self::FIRST_BYTE) {
            throw new GoridgeException('the reply is not a goridge frame');
        }
        if ($parts['crc'] !== crc32(substr($header, 0, 6))) {
            throw new GoridgeException('the reply has a wrong checksum');
        }
        if ($parts['method'] > $parts['length']) {
            throw new GoridgeException('the reply has impossible lengths');
        }
        $body = substr($this->read($parts['length']), $parts['method']);
        if ($parts['seq'] !== $seq) {
            throw new GoridgeException("reply {$parts['seq']} to request {$seq}");
        }
        if (($parts['flags'] & self::ERROR) !== 0) {
            throw new GoridgeException($body);
        }

        return $this->decode($body);
    }

    /**
     * Executes one statement.
     *
     * @param list<mixed> $args
     * @param array<string, mixed> $options further fields, such as tx_id, timeout or settings
     * @return array<string, mixed> the reply; look at `error` and `sqlstate`
     */
    public function execute(string $query, array $args = [], array $options = []): array
    {
        return $this->call('pgpool.Execute', ['query' => $query, 'args' => $args] + $options);
    }

    public function close(): void
    {
        fclose($this->stream);
    }

    private function request(string $method, string $body, int $seq): string
    {
        $start = pack('CCV', self::FIRST_BYTE, $this->codec, strlen($method) + strlen($body));

        return $start . pack('VvVV', crc32($start), 0, $seq, strlen($method)) . $method . $body;
    }

    /** @param array<string, mixed> $params */
    private function encode(array $params): string
    {
        return $this->codec === self::MSGPACK
            ? msgpack_pack($params)
            : json_encode($params, JSON_THROW_ON_ERROR | JSON_PRESERVE_ZERO_FRACTION);
    }

    /** @return array<string, mixed> */
    private function decode(string $body): array
    {
        $reply = $this->codec === self::MSGPACK
            ? msgpack_unpack($body)
            : json_decode($body, true, 512, JSON_THROW_ON_ERROR | JSON_BIGINT_AS_STRING);
        if (!is_array($reply)) {
            throw new GoridgeException('the reply is not a map');
        }

        return $reply;
    }

    private function write(string $bytes): void
    {
        while ($bytes !== '') {
            $written = @fwrite($this->stream, $bytes);
            if ($written === false || $written === 0) {
                throw new GoridgeException('the server closed the connection');
            }
            $bytes = substr($bytes, $written);
        }
    }

    private function read(int $length): string
    {
        $bytes = '';
        while (($missing = $length - strlen($bytes)) > 0) {
            $part = fread($this->stream, $missing);
            if ($part === false || $part === '') {
                $timedOut = stream_get_meta_data($this->stream)['timed_out'];
                throw new GoridgeException(
                    $timedOut ? 'no reply in time' : 'the server closed the connection',
                );
            }
            $bytes .= $part;
        }

        return $bytes;
    }
}
