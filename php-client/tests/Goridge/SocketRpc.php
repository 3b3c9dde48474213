<?php

declare(strict_types=1);

namespace RrPgpool\Tests\Goridge;

use Google\Protobuf\Internal\Message;
use JsonException;
use RrPgpool\Transport\GoridgeCodec;

/**
 * What goridge's RPC does with each of its codecs, in its words, on a socket of its own: goridge itself
 * is in no package of the system that the tests could install.
 */
final class SocketRpc
{
    private const FLAGS = ['Json' => 0x08, 'Msgpack' => 0x10, 'Protobuf' => 0x80];
    private const ERROR = 0x40;

    /** @var resource */
    private $socket;
    private string $service = '';
    private int $seq = 0;

    public function __construct(string $address, private readonly GoridgeCodec $codec)
    {
        $socket = @stream_socket_client($address, $code, $message, 5.0);
        if ($socket === false) {
            throw new RelayException("Unable to establish connection {$address}");
        }
        stream_set_timeout($socket, 30);
        $this->socket = $socket;
    }

    public function withServicePrefix(string $service): self
    {
        $rpc = clone $this;
        $rpc->service = $service;

        return $rpc;
    }

    public function call(string $method, mixed $payload, mixed $options = null): mixed
    {
        $name = "{$this->service}.{$method}";
        $content = $name . $this->encode($payload);
        $start = pack('CCV', 0x15, self::FLAGS[$this->codec->name], strlen($content));
        $header = pack('VvVV', crc32($start), 0, ++$this->seq, strlen($name));
        fwrite($this->socket, $start . $header . $content);
        $reply = unpack('Cfirst/Cflags/Vlength/Vcrc/vstream/Vseq/Vmethod', $this->read(20));
        $body = substr($this->read($reply['length']), $reply['method']);
        if ($reply['seq'] !== $this->seq) {
            throw new RelayException('Invalid RPC frame, sequence mismatch');
        }
        if (($reply['flags'] & self::ERROR) !== 0) {
            throw new ServiceException("Error '{$body}' on socket");
        }

        return $this->decode($body, $options);
    }

    private function encode(mixed $payload): string
    {
        try {
            return match ($this->codec) {
                GoridgeCodec::Json => json_encode($payload, JSON_THROW_ON_ERROR),
                GoridgeCodec::Msgpack => msgpack_pack($payload),
                GoridgeCodec::Protobuf => $payload->serializeToString(),
            };
        } catch (JsonException $error) {
            throw new RelayException("Json encode: {$error->getMessage()}");
        }
    }

    private function decode(string $body, mixed $options): mixed
    {
        if ($this->codec === GoridgeCodec::Msgpack) {
            return msgpack_unpack($body);
        }
        if ($this->codec === GoridgeCodec::Json) {
            return json_decode($body, true, 512, JSON_THROW_ON_ERROR | $options);
        }
        /** @var Message $message */
        $message = new $options();
        $message->mergeFromString($body);

        return $message;
    }

    private function read(int $length): string
    {
        $bytes = '';
        while (strlen($bytes) < $length) {
            $part = fread($this->socket, $length - strlen($bytes));
            if ($part === false || $part === '') {
                throw new RelayException('connection lost');
            }
            $bytes .= $part;
        }

        return $bytes;
    }
}
