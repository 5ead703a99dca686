import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.ParameterizedType;
import java.net.Socket;
import java.net.SocketException;
import java.net.SocketTimeoutException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

import com.fasterxml.jackson.databind.JsonNode;

import org.apache.kafka.common.errors.UnsupportedVersionException;
import org.apache.kafka.common.message.ApiMessageType;
import org.apache.kafka.common.message.ProduceRequestData;
import org.apache.kafka.common.message.RequestHeaderData;
import org.apache.kafka.common.message.ResponseHeaderData;
import org.apache.kafka.common.protocol.ApiMessage;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.MessageUtil;

/**
 * Asks a broker for every API that Apache Kafka's protocol has, in every version and one on either side: once with nothing
 * in it, once with one element in every array and a name for every text. Prints each answer as a line of JSON, or that the
 * broker closed the connection. Arguments: HOST PORT, and the requests that are left out.
 */
public class Sweep {
    private static final Pattern UNKNOWN_FIELD = Pattern.compile("non-default (\\w+) at version");

    public static void main(String[] arguments) throws Exception {
        Set<String> skipped = new HashSet<>(Arrays.asList(arguments).subList(2, arguments.length));
        for (ApiMessageType api : ApiMessageType.values()) {
            int last = api.highestSupportedVersion(true);
            for (int version = -1; version <= last + 1; version++) {
                boolean isKnown = version >= api.lowestSupportedVersion() && version <= last;
                for (boolean filled : isKnown ? new boolean[] {false, true} : new boolean[] {false}) {
                    String request = api.name + " " + version + (filled ? " filled" : "");
                    if (skipped.contains(request)) {
                        continue;
                    }
                    String answer = ask(arguments[0], Integer.parseInt(arguments[1]), api, (short) version, filled);
                    System.out.println(request + ": " + answer);
                }
            }
        }
    }

    private static String ask(String host, int port, ApiMessageType api, short version, boolean filled) throws Exception {
        boolean isKnown = version >= api.lowestSupportedVersion() && version <= api.highestSupportedVersion(true);
        short written = isKnown ? version : api.highestSupportedVersion(true);
        ByteBuffer header = bytes(new RequestHeaderData()
            .setRequestApiKey(api.apiKey()).setRequestApiVersion(version).setCorrelationId(7).setClientId("sweep"),
            api.requestHeaderVersion(written));
        ByteBuffer body = filled ? filled(api, written) : bytes(empty(api), written);
        try (Socket socket = new Socket(host, port)) {
            socket.setSoTimeout(5_000);
            DataOutputStream output = new DataOutputStream(socket.getOutputStream());
            ByteBuffer frame = ByteBuffer.allocate(4 + header.remaining() + body.remaining());
            frame.putInt(header.remaining() + body.remaining()).put(header).put(body);
            output.write(frame.array());
            DataInputStream input = new DataInputStream(socket.getInputStream());
            byte[] answer = new byte[input.readInt()];
            input.readFully(answer);
            return read(api, isKnown ? version : 0, ByteBuffer.wrap(answer));
        } catch (EOFException | SocketException closed) {
            return "closed";
        } catch (SocketTimeoutException waited) {
            return "no answer";
        }
    }

    private static String read(ApiMessageType api, short version, ByteBuffer answer) throws Exception {
        new ResponseHeaderData(new ByteBufferAccessor(answer), api.responseHeaderVersion(version));
        ApiMessage response = api.newResponse();
        response.read(new ByteBufferAccessor(answer), version);
        Class<?> converter = Class.forName(response.getClass().getName() + "JsonConverter");
        Method write = converter.getMethod("write", response.getClass(), short.class);
        JsonNode json = (JsonNode) write.invoke(null, response, version);
        return json + (answer.hasRemaining() ? " and " + answer.remaining() + " bytes more" : "");
    }

    private static ByteBuffer bytes(Message message, short version) {
        return MessageUtil.toByteBuffer(message, version);
    }

    private static ApiMessage empty(ApiMessageType api) {
        ApiMessage request = api.newRequest();
        if (request instanceof ProduceRequestData) {
            // Else there is no answer at all.
            ((ProduceRequestData) request).setAcks((short) -1);
        }
        return request;
    }

    /** With as many fields as this version has. */
    private static ByteBuffer filled(ApiMessageType api, short version) throws Exception {
        Set<String> unknown = new HashSet<>();
        while (true) {
            ApiMessage request = empty(api);
            fill(request, unknown);
            try {
                return bytes(request, version);
            } catch (UnsupportedVersionException refused) {
                Matcher field = UNKNOWN_FIELD.matcher(refused.getMessage());
                if (!field.find() || !unknown.add(field.group(1))) {
                    throw refused;
                }
            }
        }
    }

    private static void fill(Message message, Set<String> unknown) throws Exception {
        for (Field field : message.getClass().getDeclaredFields()) {
            if (Modifier.isStatic(field.getModifiers()) || field.getName().startsWith("_")
                || unknown.contains(field.getName())) {
                continue;
            }
            field.setAccessible(true);
            if (field.getType() == String.class) {
                field.set(message, "x");
            } else if (Message.class.isAssignableFrom(field.getType()) && field.get(message) != null) {
                fill((Message) field.get(message), unknown);
            } else if (List.class == field.getType()) {
                Object element = ((ParameterizedType) field.getGenericType()).getActualTypeArguments()[0];
                if (element instanceof Class) {
                    List<Object> elements = new ArrayList<>();
                    elements.add(element((Class<?>) element, unknown));
                    field.set(message, elements);
                }
            } else if (field.getType().getName().endsWith("Collection")) {
                String name = field.getType().getName();
                Class<?> element = Class.forName(name.substring(0, name.length() - "Collection".length()));
                @SuppressWarnings("unchecked")
                Collection<Object> elements =
                    (Collection<Object>) field.getType().getDeclaredConstructor().newInstance();
                elements.add(element(element, unknown));
                field.set(message, elements);
            }
        }
    }

    private static Object element(Class<?> type, Set<String> unknown) throws Exception {
        if (type == String.class) {
            return "x";
        } else if (type == Integer.class) {
            return 0;
        } else if (type == Long.class) {
            return 0L;
        } else if (type == Short.class) {
            return (short) 0;
        } else if (type == Byte.class) {
            return (byte) 0;
        } else if (!Message.class.isAssignableFrom(type)) {
            return type.getField("ZERO_UUID").get(null);
        }
        Message element = (Message) type.getDeclaredConstructor().newInstance();
        fill(element, unknown);
        return element;
    }
}
